import { newWeight, type Weight, weightOf, widened } from '../backends/weight.js'
import { isBidirectional } from '../layers/mixers/bidirectional.js'
import type { Weights } from '../layers/params.js'
import type { MixerSpec } from '../spec.js'

/**
 * Caduceus-PS as a plain stack.
 *
 * The official model carries two halves of channels, a = E[ids] and b = rc(E[reverse complement of ids]), where rc
 * reverses rows and channels. A block takes one half through F and the other through rc F rc. Without fused add and norm
 * the halves keep their places, so that a = g and b = rc(r), with g the plain stack on the ids and r the same stack on
 * the reverse complement.
 *
 * With fused add and norm the official block reads the halves the other way round and stores them in that order: blocks
 * 0, 2, 4 ... meet g as rc F rc. That is F with both directions exchanged and all D channels reversed: a matter of
 * permuting its weights, once. After an odd number of blocks a = rc(r) and b = g, and so the final norm and the head
 * meet r (and g, complemented) with channels reversed.
 */
export function isMirrored({ fused }: { fused: boolean }, blocks: number): boolean {
  return fused && blocks % 2 === 1
}

/** rc F rc in place of the F of block `i`; the numbers of its weights are moved where they lie. */
export function mirrorBlock(weights: Weights, i: number, mixer: MixerSpec): void {
  const block = `blocks.${i}.`
  for (const weight of named(weights, `${block}norm.weight`, `${block}norm.bias`)) reverseColumns(weight)
  if (!isBidirectional(mixer)) throw new Error('unreachable: a mirrored mixer reads from right to left')
  exchangeDirections(weights, `${block}mixer.`, mixer.tied)
  const both = (name: string) => named(weights, `${block}mixer.forward.${name}`, `${block}mixer.reverse.${name}`)
  for (const weight of [...both('in_proj.weight'), ...both('out_proj.bias')]) reverseColumns(weight)
  for (const weight of both('out_proj.weight')) reverseRows(weight)
}

/** The final norm for reversed channels. */
export function mirrorFinalNorm(weights: Weights): void {
  for (const weight of named(weights, 'norm_f.weight', 'norm_f.bias')) reverseColumns(weight)
}

/** A head of tokens for reversed channels. */
export function mirrorHead(weights: Weights): void {
  reverseColumns(weights.get('head.weight')!)
}

/**
 * A head of classes [labels, D] for rows [2D] of both strands, whose channels are in their places: the mean of what it says of the first
 * half of them and of the second backwards. The order of the rows, which is the other in the second half, is nothing to the pooling.
 */
export function headOfBothStrands(weights: Weights): void {
  const head = weights.get('head.weight')!
  const [rows, D] = [head.rows, head.cols]
  const half = widened(head).map((x) => x / 2)
  const both = new Float32Array(2 * rows * D)
  for (let i = 0; i < rows; i++) {
    const row = half.subarray(i * D, (i + 1) * D)
    both.set(row, 2 * i * D)
    both.set(row.toReversed(), (2 * i + 1) * D)
  }
  weights.set('head.weight', weightOf(rows, 2 * D, both))
}

/** A mixer of one direction, as it stands before it is mirrored: the reverse half adds nothing. */
export function silenceReverse(weights: Weights, prefix: string): void {
  for (const [name, weight] of [...weights]) {
    if (!name.startsWith(`${prefix}forward.`)) continue
    const twin = name.replace(`${prefix}forward.`, `${prefix}reverse.`)
    if (name.endsWith('out_proj.weight')) weights.set(twin, newWeight('f32', weight.rows, weight.cols))
    else if (!name.endsWith('out_proj.bias')) weights.set(twin, weight)
  }
}

function exchangeDirections(weights: Weights, prefix: string, tied: boolean): void {
  const names = [...weights.keys()].filter((name) => name.startsWith(prefix))
  const moved = new Map<string, Weight>()
  for (const name of names) {
    const [direction, ...rest] = name.slice(prefix.length).split('.')
    // Shared projections stay where the other direction looks for them.
    if (tied && (rest[0] === 'in_proj' || rest[0] === 'out_proj')) continue
    const other = direction === 'forward' ? 'reverse' : 'forward'
    moved.set(`${prefix}${other}.${rest.join('.')}`, weights.get(name)!)
    weights.delete(name)
  }
  for (const [name, weight] of moved) weights.set(name, weight)
}

/** Those that are there, each once: a silent direction shares weights with the other. */
function named(weights: Weights, ...names: string[]): Set<Weight> {
  return new Set(names.flatMap((name) => weights.get(name) ?? []))
}

function reverseColumns({ rows, cols, data }: Weight): void {
  for (let i = 0; i < rows; i++) data.subarray(i * cols, (i + 1) * cols).reverse()
}

/** All numbers backwards, and then each row. */
function reverseRows(weight: Weight): void {
  weight.data.reverse()
  reverseColumns(weight)
}
