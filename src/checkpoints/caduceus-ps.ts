import { isBidirectional } from '../layers/mixers/bidirectional.js'
import type { Matrix, MixerSpec, Weights } from '../spec.js'

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

/** rc F rc in place of the F of block `i`. */
export function mirrorBlock(weights: Weights, i: number, mixer: MixerSpec): void {
  const block = `blocks.${i}.`
  reverse(weights, `${block}norm.weight`)
  reverse(weights, `${block}norm.bias`)
  if (!isBidirectional(mixer)) throw new Error('unreachable: a mirrored mixer reads from right to left')
  exchangeDirections(weights, `${block}mixer.`, mixer.tied)
  for (const direction of ['forward', 'reverse']) {
    const prefix = `${block}mixer.${direction}.`
    reverse(weights, `${prefix}in_proj.weight`)
    reverse(weights, `${prefix}out_proj.bias`)
    const out = weights.get(`${prefix}out_proj.weight`)
    if (out) weights.set(`${prefix}out_proj.weight`, withRowsReversed(out))
  }
}

/** The final norm and the head for reversed channels. */
export function mirrorHead(weights: Weights): void {
  for (const name of ['norm_f.weight', 'norm_f.bias', 'head.weight']) reverse(weights, name)
}

/** A mixer of one direction, as it stands before it is mirrored: the reverse half adds nothing. */
export function silenceReverse(weights: Weights, prefix: string): void {
  for (const [name, matrix] of [...weights]) {
    if (!name.startsWith(`${prefix}forward.`)) continue
    const twin = name.replace(`${prefix}forward.`, `${prefix}reverse.`)
    if (name.endsWith('out_proj.weight')) weights.set(twin, { ...matrix, data: new Float32Array(matrix.data.length) })
    else if (!name.endsWith('out_proj.bias')) weights.set(twin, matrix)
  }
}

function exchangeDirections(weights: Weights, prefix: string, tied: boolean): void {
  const names = [...weights.keys()].filter((name) => name.startsWith(prefix))
  const moved = new Map<string, Matrix>()
  for (const name of names) {
    const [direction, ...rest] = name.slice(prefix.length).split('.')
    // Shared projections stay where the other direction looks for them.
    if (tied && (rest[0] === 'in_proj' || rest[0] === 'out_proj')) continue
    const other = direction === 'forward' ? 'reverse' : 'forward'
    moved.set(`${prefix}${other}.${rest.join('.')}`, weights.get(name)!)
    weights.delete(name)
  }
  for (const [name, matrix] of moved) weights.set(name, matrix)
}

/** Reverses the columns of a weight, if it is there. */
function reverse(weights: Weights, name: string): void {
  const matrix = weights.get(name)
  if (!matrix) return
  const { rows, cols } = matrix
  const data = matrix.data.slice()
  for (let i = 0; i < rows; i++) data.subarray(i * cols, (i + 1) * cols).reverse()
  weights.set(name, { rows, cols, data })
}

function withRowsReversed({ rows, cols, data }: Matrix): Matrix {
  const flipped = new Float32Array(data.length)
  for (let i = 0; i < rows; i++) flipped.set(data.subarray(i * cols, (i + 1) * cols), (rows - 1 - i) * cols)
  return { rows, cols, data: flipped }
}
