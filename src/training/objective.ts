import type { FloatArray } from '../backends/backend.js'
import type { ModelSpec } from '../spec.js'
import { GreedyDecoder } from '../tasks/language/ctc-decode.js'
import { ctcLoss } from './ctc.js'
import { crossEntropy, nothing } from './losses.js'
import { argmaxRows } from './metrics/metrics.js'

/**
 * What is to be learned: `logits` as outputs.ts gives them, `offsets` the rows of each record, `targets` what it should
 * be.
 */
export interface Answered {
  logits: FloatArray
  offsets: Int32Array
  targets: readonly Int32Array[]
}

/**
 * Loss of each record, and the gradient of their sum. Classes: cross-entropy in nats. Next tokens: the mean over those there are. CTC: nats per token of the text,
 * so that long texts do not outweigh short ones (an empty text: nats per row); a text that does not fit its rows counts
 * nothing.
 */
export function objective(
  head: ModelSpec['head'],
  { logits, offsets, targets }: Answered,
  smoothing: number,
): { losses: Float64Array; dLogits: Float64Array } {
  if (head?.kind === 'classes') {
    const labels = Int32Array.from(targets, (target) => target[0])
    return crossEntropy(logits, labels, smoothing)
  }
  const V = logits.length / offsets[offsets.length - 1]
  if (head?.kind === 'tokens') return nextTokens({ logits, offsets, targets }, V, smoothing)
  const { losses, dLogits } = ctcLoss(logits, offsets, targets)
  for (const [s, target] of targets.entries()) {
    const rows = offsets[s + 1] - offsets[s]
    const parts = Math.max(1, target.length || rows)
    losses[s] = losses[s] === Infinity ? 0 : losses[s] / parts
    for (let i = offsets[s] * V; i < offsets[s + 1] * V; i++) dLogits[i] /= parts
  }
  return { losses, dLogits }
}

/** logits [T, V], a target for each row. */
function nextTokens({ logits, offsets, targets }: Answered, V: number, smoothing: number) {
  const losses = new Float64Array(targets.length)
  const dLogits = new Float64Array(logits.length)
  for (const [s, target] of targets.entries()) {
    const [from, to] = [offsets[s] * V, offsets[s + 1] * V]
    const rows = crossEntropy(logits.subarray(from, to), target, smoothing)
    const count = Math.max(1, target.filter((token) => token !== nothing).length)
    losses[s] = rows.losses.reduce((a, b) => a + b, 0) / count
    for (const [i, d] of rows.dLogits.entries()) dLogits[from + i] = d / count
  }
  return { losses, dLogits }
}

/** How much of a record is right: all or nothing, or the share of the next tokens. */
export function shareRight(head: ModelSpec['head'], answer: Int32Array, target: Int32Array): number {
  if (head?.kind !== 'tokens') return `${answer}` === `${target}` ? 1 : 0
  const count = target.filter((token) => token !== nothing).length
  return target.filter((token, t) => token !== nothing && token === answer[t]).length / Math.max(1, count)
}

/** What the model says of each record: its class, its tokens row by row, or those of the likeliest alignment. */
export function answers(head: ModelSpec['head'], { logits, offsets }: Omit<Answered, 'targets'>): Int32Array[] {
  const V = logits.length / offsets[offsets.length - 1]
  if (head?.kind === 'classes') return Array.from(argmaxRows(logits, V), (label) => Int32Array.of(label))
  return Array.from(offsets.subarray(1), (to, s) => {
    if (head?.kind === 'tokens') return argmaxRows(logits.subarray(offsets[s] * V, to * V), V)
    const decoder = new GreedyDecoder(V)
    const tokens = [...decoder.push(logits.subarray(offsets[s] * V, to * V)), ...decoder.end()]
    return Int32Array.from(tokens, ({ token }) => token)
  })
}
