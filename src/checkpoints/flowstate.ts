import * as v from 'valibot'
import { widened } from '../backends/weight.js'
import { filled } from '../layers/initial.js'
import { width } from '../layers/layer-schemas.js'
import type { FlowStateSpec } from '../layers/mixers/flowstate.js'
import type { Weights } from '../layers/params.js'
import type { ModelSpec } from '../spec.js'
import { flag, list, oneOf, openRecord, share, whole } from '../text/schema.js'
import type { Config } from './config.js'
import type { Layout } from './layout.js'
import { countLayers } from './mamba-tensors.js'
import type { Tensors } from './tensors.js'

/** What of config.json is read, with the defaults of the official code. */
const keys = openRecord({
  context_length: whole(1),
  encoder_num_layers: v.nullish(whole(0)),
  decoder_patch_len: whole(1, 65_536),
  decoder_dim: width,
  decoder_type: oneOf('legs'),
  quantiles: list(share, { least: 1, most: 1000 }),
  out_gating: v.nullish(flag, false),
  mlp_type: v.nullish(oneOf('gated', 'transformer'), 'gated'),
})

const layerName = (i: number) => `model.encoder.layers.${i}.`

/** IBM Granite FlowState for forecasting (`FlowStateForPrediction`; arXiv 2508.05287), releases r1 and r1.1. */
export const flowstateLayout: Layout = {
  name: 'FlowState',
  recognise: (config) => config.values.model_type === 'flowstate',
  spec: flowstateSpec,
  weights: flowstateWeights,
}

async function flowstateSpec(config: Config, tensors: Tensors): Promise<ModelSpec> {
  const { context_length, encoder_num_layers, decoder_patch_len, ...rest } = config.as(keys)
  const { decoder_dim, quantiles, out_gating, mlp_type } = rest
  const [D, d_embed] = tensors.shape('model.embed.embed.weight', 2)
  const n = countLayers(tensors, 'model.encoder.layers.', { encoder_num_layers })
  const blocks = Array.from({ length: n }, (_, i) => {
    const mixer: FlowStateSpec = { kind: 'flowstate', d_state: tensors.shape(`${layerName(i)}ssm.log_Delta`, 1)[0] }
    if (out_gating) mixer.output_gate = true
    if (mlp_type === 'transformer') mixer.d_hidden = tensors.shape(`${layerName(i)}mlp.w1.weight`, 2)[0]
    return { mixer }
  })
  return {
    input: { kind: 'values' },
    d_embed,
    stem: [{ window: 1, stride: 1, d_out: D, activation: 'none' }],
    d_model: D,
    norm: null,
    blocks,
    head: { kind: 'forecast', quantiles, d_basis: decoder_dim, patch: decoder_patch_len, context: context_length },
    strand: 'stranded',
    hidden_states: { embedding: false, blocks: 'residual', listed: n, final: false },
  }
}

async function flowstateWeights(tensors: Tensors, spec: ModelSpec): Promise<Weights> {
  const { d_model: D, d_embed, head } = spec
  if (head?.kind !== 'forecast') throw new Error('unreachable: this layout forecasts')
  const weights: Weights = new Map()
  const linear = async (to: string, from: string, rows: number, cols: number) => {
    weights.set(`${to}.weight`, await tensors.weight(`${from}.weight`, [rows, cols]))
    weights.set(`${to}.bias`, await tensors.weight(`${from}.bias`, [rows]))
  }
  await linear('stem.0', 'model.embed.embed', D, d_embed)
  for (const [i, { mixer }] of spec.blocks.entries()) {
    const { d_state: P, output_gate, d_hidden: H } = mixer as FlowStateSpec
    const [from, to] = [layerName(i), `blocks.${i}.mixer.`]
    const ssm = async (name: string, ...shape: number[]) => widened(await tensors.weight(`${from}ssm.${name}`, shape))
    const [real, imag] = [await ssm('log_Lambda_real', P), await ssm('Lambda_imag', P)]
    weights.set(
      `${to}Lambda`,
      filled(P, 2, (p, part) => (part === 0 ? -Math.exp(real[p]) : imag[p])),
    )
    weights.set(`${to}log_step`, await tensors.weight(`${from}ssm.log_Delta`, [P]))
    const B = [await ssm('B_tilde_r', P, D), await ssm('B_tilde_i', P, D)]
    weights.set(
      `${to}B.weight`,
      filled(2 * P, D, (row, d) => B[row % 2][(row >> 1) * D + d]),
    )
    const C = [await ssm('C_tilde_r', D, P), (await ssm('C_tilde_i', D, P)).map((c) => -c)]
    weights.set(
      `${to}C.weight`,
      filled(D, 2 * P, (d, col) => C[col % 2][d * P + (col >> 1)]),
    )
    weights.set(`${to}D`, await tensors.weight(`${from}ssm.D`, [D]))
    if (output_gate) await linear(`${to}output_gate`, `${from}ssm.output_gate`, D, D)
    if (H === undefined) await linear(`${to}gate`, `${from}out`, D, D)
    else {
      weights.set(`${to}mlp.norm.weight`, await tensors.weight(`${from}mlp.rms_weight`, [D]))
      await linear(`${to}mlp.w1`, `${from}mlp.w1`, H, D)
      await linear(`${to}mlp.w2`, `${from}mlp.w2`, H, D)
      await linear(`${to}mlp.w3`, `${from}mlp.w3`, D, H)
    }
    weights.set(`${to}norm.weight`, await tensors.weight(`${from}norm.weight`, [D]))
    weights.set(`${to}norm.bias`, await tensors.weight(`${from}norm.bias`, [D]))
  }
  await linear('head', 'model.decoder.lin', head.quantiles.length * head.d_basis, D)
  return weights
}
