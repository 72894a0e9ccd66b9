import * as v from 'valibot'
import { joinRows, rowsOf, scaleRows, type Weight } from '../backends/weight.js'
import { epsilon, width } from '../layers/layer-schemas.js'
import { isAnyMamba } from '../layers/mixers/any-mamba.js'
import { type AttentionSpec, isAttention } from '../layers/mixers/attention.js'
import type { Weights } from '../layers/params.js'
import type { BlockSpec, MixerSpec, MlpSpec, ModelSpec, MoeSpec } from '../spec.js'
import { flag, oneOf, whole } from '../text/schema.js'
import type { Config } from './config.js'
import { byLastToken, headSpec, headWeights } from './heads.js'
import { countLayers, mambaWeights, normWeights } from './mamba-tensors.js'
import type { Tensors } from './tensors.js'

/** What layouts of transformers with attention among other mixers have in common. */

const embedding = 'model.embed_tokens.weight'
const layer = (i: number) => `model.layers.${i}.`

/** Keys of config.json that they share, with the defaults of the official code. */
export const hybridKeys = (defaults: { max_position_embeddings: number; rms_norm_eps: number }) => ({
  hidden_act: v.nullish(oneOf('silu'), 'silu'),
  num_hidden_layers: v.nullish(whole(0)),
  num_attention_heads: v.nullish(width, 32),
  max_position_embeddings: v.nullish(whole(1, 2 ** 31 - 1), defaults.max_position_embeddings),
  rms_norm_eps: v.nullish(epsilon, defaults.rms_norm_eps),
  rope_scaling: v.nullish(v.null('null: scaled positions are not supported')),
})

/** Those about Mamba, of either kind. */
export const mambaKeys = {
  mamba_n_groups: v.nullish(whole(1, 65_536), 1),
  mamba_conv_bias: v.nullish(flag, true),
  mamba_proj_bias: v.nullish(flag, false),
}

interface Hybrid {
  num_hidden_layers?: number | null
  rms_norm_eps: number
  embedding_multiplier?: number
}

/** A factor of 1 is none. */
export const factor = <const K extends string>(name: K, by: number | undefined) =>
  (by === undefined || by === 1 ? {} : { [name]: by }) as { [name in K]?: number }

/**
 * `block`: of a block, by the prefix of its names; `multiplier`: of the logits of tokens. Hidden states are the embeddings, the residual
 * stream after all blocks but the last, and the final norm.
 */
export async function hybridSpec(
  config: Config,
  tensors: Tensors,
  { num_hidden_layers, rms_norm_eps: eps, embedding_multiplier }: Hybrid,
  block: (from: string) => BlockSpec,
  multiplier?: number,
): Promise<ModelSpec> {
  const [vocab_size, d_model] = tensors.shape(embedding, 2)
  const n = countLayers(tensors, 'model.layers.', { num_hidden_layers })
  const head = await headSpec(config, tensors, { name: 'lm_head.weight', embedding }, byLastToken)
  return {
    input: { kind: 'tokens', tokenizer: 'ids', vocab_size },
    d_embed: d_model,
    ...factor('embedding_multiplier', embedding_multiplier),
    stem: [],
    d_model,
    norm: { kind: 'rms', eps },
    blocks: Array.from({ length: n }, (_, i) => block(layer(i))),
    head: head.kind === 'tokens' ? { ...head, ...factor('multiplier', multiplier) } : head,
    strand: 'stranded',
    hidden_states: { embedding: true, blocks: 'residual', listed: n - 1, final: true },
  }
}

/** All weights: those of each block by `block`, but for its norms. */
export async function hybridWeights(
  tensors: Tensors,
  spec: ModelSpec,
  names: { norm2: string; final: string },
  block: (weights: Weights, renamed: Renamed, spec: BlockSpec, D: number) => Promise<void>,
): Promise<Weights> {
  const { d_model: D, norm, blocks } = spec
  const [V] = tensors.shape(embedding, 2)
  const weights: Weights = new Map()
  weights.set('embedding.weight', await tensors.weight(embedding, [V, D]))
  for (const [i, spec] of blocks.entries()) {
    const [from, to] = [layer(i), `blocks.${i}.`]
    await normWeights(tensors, weights, { from: `${from}input_layernorm`, to: `${to}norm` }, norm, D)
    await normWeights(tensors, weights, { from: from + names.norm2, to: `${to}norm2` }, norm, D)
    await block(weights, { from, to }, spec, D)
  }
  await normWeights(tensors, weights, { from: names.final, to: 'norm_f' }, norm, D)
  await headWeights(tensors, weights, spec, 'lm_head.weight')
  return weights
}

/** Where the tensors of a part are, and the names that they get. */
export interface Renamed {
  from: string
  to: string
}

/** Sizes from the tensors under `prefix`; how many heads there are is not in them. Errors: 69 where they do not divide the tensors. */
export function attentionSpec(
  tensors: Tensors,
  prefix: string,
  heads: number,
): Pick<AttentionSpec, 'kind' | 'heads' | 'kv_heads' | 'd_head'> {
  const [q, k] = ['q_proj', 'k_proj'].map((name) => tensors.shape(`${prefix}${name}.weight`, 2)[0])
  const d_head = q / heads
  if (!Number.isInteger(d_head))
    throw tensors.broken(`${prefix}q_proj.weight`, `has ${q} rows, expected a multiple of ${heads}`)
  if (k % d_head !== 0)
    throw tensors.broken(`${prefix}k_proj.weight`, `has ${k} rows, expected a multiple of ${d_head}`)
  return { kind: 'attention', heads, kv_heads: k / d_head, d_head }
}

/** Of Mamba, whose names are under `mamba.`, or of attention under `self_attn.`. */
export async function mixerWeights(
  tensors: Tensors,
  weights: Weights,
  { from, to }: Renamed,
  mixer: MixerSpec,
  D: number,
  { mamba_conv_bias: conv = false, mamba_proj_bias: linear = false } = {},
): Promise<void> {
  const mamba = { from: `${from}mamba.`, to }
  if (isAnyMamba(mixer)) await mambaWeights(tensors, weights, mamba, mixer, D, { conv, linear })
  if (isAttention(mixer)) await attentionWeights(tensors, weights, { from: `${from}self_attn.`, to }, mixer, D)
}

/** Of gated attention q_proj has the rows of a head's queries, then those of its gate. */
async function attentionWeights(
  tensors: Tensors,
  weights: Weights,
  { from, to }: Renamed,
  { heads, kv_heads, d_head, gated, qk_norm_eps }: AttentionSpec,
  D: number,
): Promise<void> {
  const [Q, K] = [heads * d_head, kv_heads * d_head]
  const projection = async (name: string, rows: number, cols: number, as = name) => {
    weights.set(`${to}${as}.weight`, await tensors.weight(`${from}${name}.weight`, [rows, cols]))
    const bias = `${from}${name}.bias`
    if (tensors.has(bias)) weights.set(`${to}${as}.bias`, await tensors.weight(bias, [rows]))
  }
  if (gated) {
    const both = byKind(await tensors.weight(`${from}q_proj.weight`, [2 * Q, D]), [d_head, d_head])
    weights.set(`${to}q_proj.weight`, rowsOf(both, 0, Q))
    weights.set(`${to}gate_proj.weight`, rowsOf(both, Q, 2 * Q))
  } else await projection('q_proj', Q, D)
  await projection('k_proj', K, D)
  await projection('v_proj', K, D)
  await projection('o_proj', D, Q, 'out_proj')
  if (qk_norm_eps === undefined) return
  for (const name of ['q_norm.weight', 'k_norm.weight'])
    weights.set(to + name, await tensors.weight(from + name, [d_head]))
}

/** Rows that lie head by head, in each so many of every kind, as all of the first kind, then all of the second. */
export function byKind(weight: Weight, counts: readonly number[]): Weight {
  const perHead = counts.reduce((sum, count) => sum + count, 0)
  const parts = counts.flatMap((count, i) => {
    const before = counts.slice(0, i).reduce((sum, each) => sum + each, 0)
    return Array.from({ length: weight.rows / perHead }, (_, head) => {
      const first = head * perHead + before
      return rowsOf(weight, first, first + count)
    })
  })
  return joinRows(...parts)
}

/** Sizes of an MLP with the tensors gate_proj, up_proj and down_proj. */
export const swigluSpec = (tensors: Tensors, prefix: string): MlpSpec => ({
  d_hidden: tensors.shape(`${prefix}gate_proj.weight`, 2)[0],
})

/** fc1 has the rows of up_proj, then those of gate_proj. */
export async function swigluWeights(
  tensors: Tensors,
  weights: Weights,
  { from, to }: Renamed,
  H: number,
  D: number,
): Promise<void> {
  const read = (name: string, shape: number[]) => tensors.weight(`${from}${name}`, shape)
  weights.set(`${to}fc1.weight`, joinRows(await read('up_proj.weight', [H, D]), await read('gate_proj.weight', [H, D])))
  weights.set(`${to}fc2.weight`, await read('down_proj.weight', [D, H]))
}

/** A router of that name, and its experts. */
export async function expertsWeights(
  tensors: Tensors,
  weights: Weights,
  { from, to }: Renamed,
  router: string,
  { experts, d_hidden }: MoeSpec,
  D: number,
): Promise<void> {
  weights.set(`${to}router.weight`, await tensors.weight(`${from}${router}.weight`, [experts, D]))
  for (let e = 0; e < experts; e++)
    await swigluWeights(tensors, weights, { from: `${from}experts.${e}.`, to: `${to}${e}.` }, d_hidden, D)
}

/** [gate, up] of one tensor as fc1 has them. */
export const upThenGate = (weight: Weight): Weight =>
  joinRows(rowsOf(weight, weight.rows / 2, weight.rows), rowsOf(weight, 0, weight.rows / 2))

/** Multiplies the rows of a matrix and of its bias, which are float32 from then on; by 1 they stay as they are stored. */
export function multiplyRows(
  weights: Weights,
  name: string,
  weightBy: (row: number) => number,
  biasBy = weightBy,
): void {
  for (const [part, by] of [
    ['weight', weightBy],
    ['bias', biasBy],
  ] as const) {
    // biome-ignore format: two pairs
    const weight = weights.get(`${name}.${part}`)
    if (!weight) continue
    const rows = part === 'bias' ? weight.cols : weight.rows
    if (Array.from({ length: rows }, (_, row) => by(row)).every((one) => one === 1)) continue
    const column = part === 'bias' ? { ...weight, rows, cols: 1 } : weight
    weights.set(`${name}.${part}`, { ...scaleRows(column as Weight, by), rows: weight.rows, cols: weight.cols })
  }
}
