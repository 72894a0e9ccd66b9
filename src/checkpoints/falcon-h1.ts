import * as v from 'valibot'
import { multiplier } from '../layers/layer-schemas.js'
import { isAttention } from '../layers/mixers/attention.js'
import type { Mamba2Spec } from '../layers/mixers/mamba2.js'
import { isParallel } from '../layers/mixers/parallel.js'
import type { Weights } from '../layers/params.js'
import type { BlockSpec } from '../spec.js'
import { flag, openRecord, positive } from '../text/schema.js'
import {
  attentionSpec,
  hybridKeys,
  hybridSpec,
  hybridWeights,
  mambaKeys,
  mixerWeights,
  multiplyRows,
  swigluSpec,
  swigluWeights,
} from './hybrid-tensors.js'
import type { Layout } from './layout.js'
import { mamba2Spec } from './mamba-tensors.js'
import type { Tensors } from './tensors.js'

const factors = (count: number) =>
  v.message(v.pipe(v.array(multiplier), v.length(count)), `a list of ${count} numbers above 0`)

/** What of config.json is read, with the defaults of the official code. */
const keys = openRecord({
  ...hybridKeys({ max_position_embeddings: 8192, rms_norm_eps: 1e-5 }),
  ...mambaKeys,
  rope_theta: v.nullish(positive(1e15), 100_000),
  mamba_norm_before_gate: v.nullish(flag, true),
  embedding_multiplier: v.nullish(multiplier, 1),
  lm_head_multiplier: v.nullish(multiplier, 1),
  attention_in_multiplier: v.nullish(multiplier, 1),
  attention_out_multiplier: v.nullish(multiplier, 1),
  key_multiplier: v.nullish(multiplier, 1),
  ssm_in_multiplier: v.nullish(multiplier, 1),
  ssm_out_multiplier: v.nullish(multiplier, 1),
  ssm_multipliers: v.nullish(factors(5), [1, 1, 1, 1, 1]),
  mlp_multipliers: v.nullish(factors(2), [1, 1]),
})

type Keys = v.InferOutput<typeof keys>

/**
 * Hugging Face transformers `FalconH1ForCausalLM`: Mamba-2 and attention side by side in every block. Its multipliers inside a block become
 * part of the weights of the products next to them.
 */
export const falconH1: Layout = {
  name: 'transformers Falcon-H1',
  recognise: (config) => config.values.model_type === 'falcon_h1',

  spec: (config, tensors) => {
    const given = config.as(keys)
    const block = (from: string) => blockSpec(tensors, from, given)
    return hybridSpec(config, tensors, given, block, given.lm_head_multiplier)
  },

  weights: (tensors, spec, config) => {
    const given = config.as(keys)
    const names = { norm2: 'pre_ff_layernorm', final: 'model.final_layernorm' }
    return hybridWeights(tensors, spec, names, async (weights, { from, to }, { mixer, mlp }, D) => {
      for (const [i, each] of (isParallel(mixer) ? mixer.mixers : []).entries()) {
        const into = `${to}mixer.${i}.`
        await mixerWeights(tensors, weights, { from, to: into }, each, D, given)
        if (isAttention(each)) multiplyAttention(weights, into, given)
        else multiplyMamba(weights, into, each as Mamba2Spec, given)
      }
      const H = mlp!.d_hidden
      await swigluWeights(tensors, weights, { from: `${from}feed_forward.`, to: `${to}mlp.` }, H, D)
      const [gate, down] = given.mlp_multipliers
      multiplyRows(weights, `${to}mlp.fc1`, (row) => (row < H ? 1 : gate))
      multiplyRows(weights, `${to}mlp.fc2`, () => down)
    })
  },
}

function blockSpec(tensors: Tensors, from: string, given: Keys): BlockSpec {
  const groups = given.mamba_n_groups
  const norm = { eps: given.rms_norm_eps, groups, before_gate: given.mamba_norm_before_gate }
  const mamba = mamba2Spec(tensors, `${from}mamba.`, { groups, limit: [0, Number.POSITIVE_INFINITY], norm })
  const attention = {
    ...attentionSpec(tensors, `${from}self_attn.`, given.num_attention_heads),
    rope_theta: given.rope_theta,
    max_length: given.max_position_embeddings,
  }
  const mixer = { kind: 'parallel', mixers: [mamba, attention] }
  return { mixer, mlp: swigluSpec(tensors, `${from}feed_forward.`) }
}

/** The rows z, x, B, C and dt of in_proj have a factor each, their input one more. */
function multiplyMamba(
  weights: Weights,
  to: string,
  { d_inner: E, headdim: P, n_groups: G, d_state: N }: Mamba2Spec,
  given: Keys,
): void {
  const sections = [E, E, G * N, G * N, E / P].flatMap((rows, i) => Array<number>(rows).fill(given.ssm_multipliers[i]))
  const ofOutput = (row: number) => sections[row]
  multiplyRows(weights, `${to}in_proj`, (row) => given.ssm_in_multiplier * sections[row], ofOutput)
  multiplyRows(weights, `${to}out_proj`, () => given.ssm_out_multiplier)
}

function multiplyAttention(weights: Weights, to: string, given: Keys): void {
  const outputs = { q_proj: 1, k_proj: given.key_multiplier, v_proj: 1 }
  for (const [name, by] of Object.entries(outputs))
    multiplyRows(weights, to + name, () => given.attention_in_multiplier * by, () => by) // biome-ignore format: one line
  multiplyRows(weights, `${to}out_proj`, () => given.attention_out_multiplier)
}
