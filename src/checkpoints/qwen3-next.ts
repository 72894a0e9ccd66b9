import * as v from 'valibot'
import { joinRows, type Weight, weightOf, widened } from '../backends/weight.js'
import { width } from '../layers/layer-schemas.js'
import type { AttentionSpec } from '../layers/mixers/attention.js'
import { type GatedDeltaSpec, isGatedDelta } from '../layers/mixers/gated-delta.js'
import type { Weights } from '../layers/params.js'
import type { BlockSpec } from '../spec.js'
import { flag, openRecord, positive, whole } from '../text/schema.js'
import {
  byKind,
  expertsWeights,
  hybridKeys,
  hybridSpec,
  hybridWeights,
  mixerWeights,
  type Renamed,
  swigluSpec,
  swigluWeights,
} from './hybrid-tensors.js'
import type { Layout } from './layout.js'
import { transposed } from './mamba-tensors.js'
import type { Tensors } from './tensors.js'

/** What of config.json is read, with the defaults of the official code. */
const keys = openRecord({
  ...hybridKeys({ max_position_embeddings: 32_768, rms_norm_eps: 1e-6 }),
  linear_num_key_heads: v.nullish(width, 16),
  norm_topk_prob: v.nullish(flag, true),
  num_experts_per_tok: v.nullish(whole(1, 4096), 10),
  partial_rotary_factor: v.nullish(positive(1), 0.25),
  rope_theta: v.nullish(positive(1e15), 10_000),
})

type Keys = v.InferOutput<typeof keys>

/**
 * Hugging Face transformers `Qwen3NextForCausalLM`: Gated DeltaNet and gated attention, experts beside one that computes all rows. Its norms
 * store their weights less one, but for those inside Gated DeltaNet.
 */
export const qwen3Next: Layout = {
  name: 'transformers Qwen3-Next',
  recognise: (config) => config.values.model_type === 'qwen3_next',

  spec: (config, tensors) => {
    const given = config.as(keys)
    return hybridSpec(config, tensors, given, (from) => blockSpec(tensors, from, given))
  },

  weights: async (tensors, spec) => {
    // Of the head that guesses several tokens ahead, which only training and speculative decoding need.
    for (const name of tensors.names) if (name.startsWith('mtp.')) tensors.skip(name)
    const names = { norm2: 'post_attention_layernorm', final: 'model.norm' }
    const weights = await hybridWeights(tensors, spec, names, async (weights, { from, to }, { mixer, mlp, moe }, D) => {
      const into = `${to}mixer.`
      if (isGatedDelta(mixer)) await deltaWeights(tensors, weights, { from: `${from}linear_attn.`, to: into }, mixer, D)
      else await mixerWeights(tensors, weights, { from, to: into }, mixer, D)
      const inside = `${from}mlp.`
      if (mlp) await swigluWeights(tensors, weights, { from: inside, to: `${to}mlp.` }, mlp.d_hidden, D)
      if (!moe) return
      await expertsWeights(tensors, weights, { from: inside, to: `${to}moe.` }, 'gate', moe, D)
      const shared = { from: `${inside}shared_expert.`, to: `${to}moe.shared.` }
      await swigluWeights(tensors, weights, shared, moe.d_shared!, D)
      weights.set(`${to}moe.shared_gate.weight`, await tensors.weight(`${inside}shared_expert_gate.weight`, [1, D]))
    })
    for (const [name, weight] of weights)
      if (/^(blocks\.\d+\.(norm2?|mixer\.[qk]_norm)|norm_f)\.weight$/.test(name)) weights.set(name, plusOne(weight))
    return weights
  },
}

/** Which layers attend and which have experts is told by their tensors. */
function blockSpec(tensors: Tensors, from: string, given: Keys): BlockSpec {
  const attends = tensors.has(`${from}self_attn.q_proj.weight`)
  const mixer = attends
    ? gatedAttentionSpec(tensors, `${from}self_attn.`, given)
    : deltaSpec(tensors, `${from}linear_attn.`, given)
  const inside = `${from}mlp.`
  if (!tensors.has(`${inside}gate.weight`)) return { mixer, mlp: swigluSpec(tensors, inside) }
  const [experts] = tensors.shape(`${inside}gate.weight`, 2)
  const moe = {
    experts,
    active: given.num_experts_per_tok,
    d_hidden: swigluSpec(tensors, `${inside}experts.0.`).d_hidden,
    over: given.norm_topk_prob ? ('active' as const) : ('all' as const),
    d_shared: swigluSpec(tensors, `${inside}shared_expert.`).d_hidden,
  }
  return { mixer, moe }
}

function deltaSpec(tensors: Tensors, from: string, given: Keys): GatedDeltaSpec {
  const { linear_num_key_heads: key_heads, rms_norm_eps: norm_eps } = given
  const [heads] = tensors.shape(`${from}A_log`, 1)
  const [, d_inner] = tensors.shape(`${from}out_proj.weight`, 2)
  const [cols, , d_conv] = tensors.shape(`${from}conv1d.weight`, 3)
  return { kind: 'gated-delta', d_inner, heads, key_heads, d_key: (cols - d_inner) / 2 / key_heads, d_conv, norm_eps }
}

/** q_proj has rows of queries and of gates, so the heads are told by the norm. */
function gatedAttentionSpec(tensors: Tensors, from: string, given: Keys): AttentionSpec {
  const [d_head] = tensors.shape(`${from}q_norm.weight`, 1)
  const rows = (name: string) => tensors.shape(`${from}${name}.weight`, 2)[0]
  return {
    kind: 'attention',
    heads: rows('q_proj') / 2 / d_head,
    kv_heads: rows('k_proj') / d_head,
    d_head,
    rope_theta: given.rope_theta,
    rotary: Math.floor(d_head * given.partial_rotary_factor),
    qk_norm_eps: given.rms_norm_eps,
    gated: true,
    max_length: given.max_position_embeddings,
  }
}

/** The rows of in_proj lie by key heads: its q, k, v and gate, and in a matrix of their own its beta and dt. */
async function deltaWeights(
  tensors: Tensors,
  weights: Weights,
  { from, to }: Renamed,
  { d_inner: E, heads: H, key_heads: G, d_key: K, d_conv }: GatedDeltaSpec,
  D: number,
): Promise<void> {
  const read = (name: string, shape: number[]) => tensors.weight(`${from}${name}`, shape)
  const cols = 2 * G * K + E
  const qkvz = byKind(await read('in_proj_qkvz.weight', [cols + E, D]), [K, K, E / G, E / G])
  const ba = byKind(await read('in_proj_ba.weight', [2 * H, D]), [H / G, H / G])
  weights.set(`${to}in_proj.weight`, joinRows(qkvz, ba))
  weights.set(`${to}conv.weight`, transposed(await read('conv1d.weight', [cols, 1, d_conv])))
  for (const name of ['dt_bias', 'A_log']) weights.set(to + name, await read(name, [H]))
  weights.set(`${to}norm.weight`, await read('norm.weight', [E / H]))
  weights.set(`${to}out_proj.weight`, await read('out_proj.weight', [D, E]))
}

const plusOne = (weight: Weight): Weight =>
  weightOf(
    weight.rows,
    weight.cols,
    widened(weight).map((x) => x + 1),
  )
