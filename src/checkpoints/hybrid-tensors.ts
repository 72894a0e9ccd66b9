import { joinRows } from '../backends/weight.js'
import type { AttentionSpec } from '../layers/mixers/attention.js'
import type { Weights } from '../layers/params.js'
import type { MlpSpec } from '../spec.js'
import type { Tensors } from './tensors.js'

/** What layouts with attention and SwiGLU have in common. */

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
