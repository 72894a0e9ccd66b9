import { newWeight, type Weight } from '../backends/weight.js'
import type { MambaSpec } from '../layers/mixers/mamba.js'
import type { Weights } from '../layers/params.js'
import type { NormSpec } from '../spec.js'
import { broken } from './files.js'
import type { Tensors } from './tensors.js'

/** What the Mamba-1 layouts have in common: the names inside a mixer, numbered layers, norms and a head that may be tied. */

/** Which biases a config promises; one that is there without promise is used too. */
export interface Biases {
  linear: boolean
  conv: boolean
}

/** Sizes from the tensors under `prefix`. Errors: 69 for Mamba-2 and for missing tensors. */
export function mambaSpec(tensors: Tensors, prefix: string): MambaSpec {
  if (tensors.has(`${prefix}dt_bias`)) throw tensors.broken(`${prefix}dt_bias`, 'belongs to Mamba-2, not supported yet')
  const [d_inner, d_state] = tensors.shape(`${prefix}A_log`, 2)
  const [, dt_rank] = tensors.shape(`${prefix}dt_proj.weight`, 2)
  const [, , d_conv] = tensors.shape(`${prefix}conv1d.weight`, 3)
  return { kind: 'mamba', d_inner, d_state, dt_rank, d_conv }
}

/** Copies one mixer from the names under `from` to the normalised ones under `to`. */
export async function mambaWeights(
  tensors: Tensors,
  weights: Weights,
  { from, to }: { from: string; to: string },
  { d_inner: E, d_state: N, dt_rank: R, d_conv: K }: MambaSpec,
  D: number,
  biases: Biases,
  projections = true,
): Promise<void> {
  const matrix = async (name: string, rows: number, cols: number) => {
    weights.set(to + name, await tensors.weight(from + name, [rows, cols]))
  }
  const vector = async (name: string, n: number, as = name) => {
    weights.set(to + as, await tensors.weight(from + name, [n]))
  }
  if (projections) {
    await matrix('in_proj.weight', 2 * E, D)
    await matrix('out_proj.weight', D, E)
    if (biases.linear || tensors.has(`${from}in_proj.bias`)) await vector('in_proj.bias', 2 * E)
    if (biases.linear || tensors.has(`${from}out_proj.bias`)) await vector('out_proj.bias', D)
  }
  weights.set(`${to}conv.weight`, transposed(await tensors.weight(`${from}conv1d.weight`, [E, 1, K])))
  if (biases.conv || tensors.has(`${from}conv1d.bias`)) await vector('conv1d.bias', E, 'conv.bias')
  await matrix('x_proj.weight', R + 2 * N, E)
  await matrix('dt_proj.weight', E, R)
  await vector('dt_proj.bias', E)
  await matrix('A_log', E, N)
  await vector('D', E)
}

/** Weight and, for a LayerNorm, bias. */
export async function normWeights(
  tensors: Tensors,
  weights: Weights,
  { from, to }: { from: string; to: string },
  norm: NormSpec | null,
  D: number,
): Promise<void> {
  if (!norm) return
  weights.set(`${to}.weight`, await tensors.weight(`${from}.weight`, [D]))
  if (norm.kind === 'layer') weights.set(`${to}.bias`, await tensors.weight(`${from}.bias`, [D]))
}

/**
 * The number of layers `{prefix}{i}.`, from the names. `promised`: what the config says, by its keys. Errors: 69 when a layer is
 * missing in between, or when the config promises more under every key that it has.
 */
export function countLayers(
  tensors: Tensors,
  prefix: string,
  promised: Record<string, number | null | undefined>,
): number {
  const found = new Set<number>()
  let count = 0
  for (const name of tensors.names) {
    if (!name.startsWith(prefix)) continue
    const layer = Number.parseInt(name.slice(prefix.length), 10)
    if (Number.isNaN(layer)) continue // it is left over in the end
    found.add(layer)
    count = Math.max(count, layer + 1)
  }
  for (let i = 0; i < count; i++) {
    if (!found.has(i)) throw broken(tensors.path, `layer ${i} of ${count} is missing (${prefix}${i}.*)`)
  }
  if (count === 0) throw broken(tensors.path, `no layers (${prefix}0.*)`)
  const said = Object.entries(promised).flatMap(([key, n]) => (n == null ? [] : [{ key, n }]))
  if (said.length > 0 && said.every(({ n }) => n > count))
    throw broken(tensors.path, `${count} layers, but its config has ${said[0].key} ${said[0].n}`)
  return count
}

/** Whether the output matrix is the embedding: it is absent, or the same values again. */
export async function isTied(tensors: Tensors, head: string, embedding: string): Promise<boolean> {
  if (!tensors.has(head)) return true
  if (!(await tensors.equal(head, embedding))) return false
  tensors.skip(head)
  return true
}

function transposed({ dtype, rows, cols, data }: Weight): Weight {
  const flipped = newWeight(dtype, cols, rows)
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) flipped.data[j * rows + i] = data[i * cols + j]
  return flipped
}
