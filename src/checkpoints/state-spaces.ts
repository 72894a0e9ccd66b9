import * as v from 'valibot'
import { isAnyMamba } from '../layers/mixers/any-mamba.js'
import type { Mamba3Spec } from '../layers/mixers/mamba3.js'
import type { Weights } from '../layers/params.js'
import type { BlockSpec, MixerSpec, ModelSpec } from '../spec.js'
import { flag, oneOf, openRecord, positive, whole } from '../text/schema.js'
import { headWeights } from './heads.js'
import type { Layout } from './layout.js'
import { countLayers, isTied, mambaWeights, normWeights, ssmKeys, ssmSpec } from './mamba-tensors.js'
import { mamba3Spec, mamba3Weights } from './mamba3-tensors.js'
import type { Tensors } from './tensors.js'

const embedding = 'backbone.embedding.weight'
const layer = (i: number) => `backbone.layers.${i}.`

/** What of config.json is read, with the defaults of the official code. */
const keys = openRecord({
  n_layer: v.nullish(whole(0)),
  d_intermediate: v.nullish(whole(0), 0),
  attn_layer_idx: v.nullish(
    v.pipe(v.array(v.unknown(), 'a list'), v.maxLength(0, 'none: attention is not supported yet')),
    [],
  ),
  rms_norm: v.nullish(flag, true),
  tie_embeddings: v.nullish(flag, true),
  ssm_cfg: v.nullish(
    openRecord({
      ...ssmKeys,
      layer: v.nullish(oneOf('Mamba1', 'Mamba2', 'Mamba3')),
      A_floor: v.nullish(positive(1), 1e-4),
      is_mimo: v.nullish(v.literal(false, 'false: the MIMO form of Mamba-3 is not supported')),
    }),
    {},
  ),
})

/** state-spaces/mamba `MambaLMHeadModel` with Mamba-1, Mamba-2 or Mamba-3 layers; an MLP after each mixer when `d_intermediate` is set. */
export const stateSpaces: Layout = {
  name: 'state-spaces Mamba',
  recognise: (config, tensors) => tensors.has(embedding) && 'd_model' in config.values,

  async spec(config, tensors): Promise<ModelSpec> {
    const { n_layer, d_intermediate, rms_norm, tie_embeddings, ssm_cfg } = config.as(keys)
    const [vocab_size, d_model] = tensors.shape(embedding, 2)
    const n = countLayers(tensors, 'backbone.layers.', { n_layer })
    const tied = await isTied(tensors, 'lm_head.weight', embedding, !tie_embeddings && 'tie_embeddings')
    return {
      input: { kind: 'tokens', tokenizer: 'ids', vocab_size },
      d_embed: d_model,
      stem: [],
      d_model,
      // The official code has no key for it: MixerModel's default.
      norm: { kind: rms_norm ? 'rms' : 'layer', eps: 1e-5 },
      blocks: Array.from({ length: n }, (_, i) => ({
        mixer: mixerSpec(tensors, `${layer(i)}mixer.`, ssm_cfg),
        ...mlpSpec(tensors, i, d_intermediate > 0),
      })),
      head: { kind: 'tokens', tied },
      strand: 'stranded',
      hidden_states: { embedding: false, blocks: 'residual', listed: n, final: true },
    }
  },

  async weights(tensors, spec, config): Promise<Weights> {
    const { d_model: D, norm } = spec
    const [V] = tensors.shape(embedding, 2)
    const { bias, conv_bias } = config.as(keys).ssm_cfg
    const biases = { linear: bias, conv: conv_bias }
    const weights: Weights = new Map()
    weights.set('embedding.weight', await tensors.weight(embedding, [V, D]))
    for (const [i, { mixer, mlp }] of spec.blocks.entries()) {
      const [from, to] = [layer(i), `blocks.${i}.`]
      await normWeights(tensors, weights, { from: `${from}norm`, to: `${to}norm` }, norm, D)
      const names = { from: `${from}mixer.`, to: `${to}mixer.` }
      if (isAnyMamba(mixer)) await mambaWeights(tensors, weights, names, mixer, D, biases)
      else await mamba3Weights(tensors, weights, names, mixer as Mamba3Spec, D)
      if (!mlp) continue
      await normWeights(tensors, weights, { from: `${from}norm2`, to: `${to}norm2` }, norm, D)
      await linear(tensors, weights, `${from}mlp.fc1`, `${to}mlp.fc1`, 2 * mlp.d_hidden, D)
      await linear(tensors, weights, `${from}mlp.fc2`, `${to}mlp.fc2`, D, mlp.d_hidden)
    }
    await normWeights(tensors, weights, { from: 'backbone.norm_f', to: 'norm_f' }, norm, D)
    await headWeights(tensors, weights, spec, 'lm_head.weight')
    return weights
  },
}

/** Mamba-3 where the config says so, or else has no word and there are its tensors. */
function mixerSpec(tensors: Tensors, prefix: string, config: v.InferOutput<typeof keys>['ssm_cfg']): MixerSpec {
  const isMamba3 = config.layer ? config.layer === 'Mamba3' : tensors.has(`${prefix}B_bias`)
  return isMamba3 ? mamba3Spec(tensors, prefix, config) : ssmSpec(tensors, prefix, config)
}

/** GatedMLP rounds its width up, so the width comes from the tensor. */
function mlpSpec(tensors: Tensors, i: number, promised: boolean): Pick<BlockSpec, 'mlp'> {
  const fc1 = `${layer(i)}mlp.fc1.weight`
  if (!promised && !tensors.has(fc1)) return {}
  return { mlp: { d_hidden: tensors.shape(fc1, 2)[0] / 2 } }
}

async function linear(tensors: Tensors, weights: Weights, from: string, to: string, rows: number, cols: number) {
  weights.set(`${to}.weight`, await tensors.weight(`${from}.weight`, [rows, cols]))
  if (tensors.has(`${from}.bias`)) weights.set(`${to}.bias`, await tensors.weight(`${from}.bias`, [rows]))
}
