import * as v from 'valibot'
import { joinRows, rowsOf, scaleRows, type Weight } from '../backends/weight.js'
import { width } from '../layers/layer-schemas.js'
import type { AttentionSpec } from '../layers/mixers/attention.js'
import type { Weights } from '../layers/params.js'
import type { BlockSpec, MlpSpec, ModelSpec } from '../spec.js'
import { flag, oneOf, whole } from '../text/schema.js'
import { countLayers, isTied, normWeights } from './mamba-tensors.js'
import type { Tensors } from './tensors.js'

/** What layouts of transformers with attention among other mixers have in common. */

const embedding = 'model.embed_tokens.weight'
const layer = (i: number) => `model.layers.${i}.`

/** Keys of config.json that they share, with the defaults of the official code. */
export const hybridKeys = {
  hidden_act: v.nullish(oneOf('silu'), 'silu'),
  num_hidden_layers: v.nullish(whole(0)),
  num_attention_heads: v.nullish(width, 32),
  rope_scaling: v.nullish(v.null('null: scaled positions are not supported')),
  mamba_conv_bias: v.nullish(flag, true),
  mamba_proj_bias: v.nullish(flag, false),
}

/** A length that a config promises. */
export const mostPositions = whole(1, 2 ** 31 - 1)

interface Hybrid {
  num_hidden_layers: number | null | undefined
  eps: number
  embedding_multiplier?: number
  logits_multiplier?: number
  /** By the prefix of its names. */
  block(from: string): BlockSpec
}

/** A factor of 1 is none. */
export const factor = <const K extends string>(name: K, by: number | undefined) =>
  (by === undefined || by === 1 ? {} : { [name]: by }) as { [name in K]?: number }

/** Hidden states are the embeddings, the residual stream after all blocks but the last, and the final norm. */
export async function hybridSpec(tensors: Tensors, hybrid: Hybrid): Promise<ModelSpec> {
  const [vocab_size, d_model] = tensors.shape(embedding, 2)
  const n = countLayers(tensors, 'model.layers.', { num_hidden_layers: hybrid.num_hidden_layers })
  const tied = await isTied(tensors, 'lm_head.weight', embedding)
  return {
    input: { kind: 'tokens', tokenizer: 'ids', vocab_size },
    d_embed: d_model,
    ...factor('embedding_multiplier', hybrid.embedding_multiplier),
    stem: [],
    d_model,
    norm: { kind: 'rms', eps: hybrid.eps },
    blocks: Array.from({ length: n }, (_, i) => hybrid.block(layer(i))),
    head: { kind: 'tokens', tied, ...factor('multiplier', hybrid.logits_multiplier) },
    strand: 'stranded',
    hidden_states: { embedding: true, blocks: 'residual', listed: n - 1, final: true },
  }
}

/** All weights: those of each block by `block`, but for its norms. */
export async function hybridWeights(
  tensors: Tensors,
  { d_model: D, norm, blocks, head }: ModelSpec,
  names: { norm2: string; final: string },
  block: (weights: Weights, renamed: Renamed, spec: BlockSpec, D: number) => Promise<void>,
): Promise<Weights> {
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
  if (head?.kind === 'tokens' && !head.tied) weights.set('head.weight', await tensors.weight('lm_head.weight', [V, D]))
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

export async function attentionWeights(
  tensors: Tensors,
  weights: Weights,
  { from, to }: Renamed,
  { heads, kv_heads, d_head }: AttentionSpec,
  D: number,
): Promise<void> {
  const [Q, K] = [heads * d_head, kv_heads * d_head]
  const projection = async (name: string, rows: number, cols: number, as = name) => {
    weights.set(`${to}${as}.weight`, await tensors.weight(`${from}${name}.weight`, [rows, cols]))
    const bias = `${from}${name}.bias`
    if (tensors.has(bias)) weights.set(`${to}${as}.bias`, await tensors.weight(bias, [rows]))
  }
  await projection('q_proj', Q, D)
  await projection('k_proj', K, D)
  await projection('v_proj', K, D)
  await projection('o_proj', D, Q, 'out_proj')
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
