import type { FloatArray } from '../backends/backend.js'

/** The label of a row that should say nothing. */
export const nothing = -1

/**
 * Softmax cross-entropy with label smoothing: the target is 1 - smoothing on the label plus smoothing / C everywhere.
 * logits [S, C], labels [S] (or `nothing`: no loss, no gradient). Returns the losses [S] of the records and the gradient [S, C] of their sum.
 */
export function crossEntropy(
  logits: FloatArray,
  labels: ArrayLike<number>,
  smoothing = 0,
): { losses: Float64Array; dLogits: Float64Array } {
  const classes = logits.length / labels.length
  const dLogits = new Float64Array(logits.length)
  const losses = new Float64Array(labels.length)
  for (let s = 0; s < labels.length; s++) {
    if (labels[s] === nothing) continue
    const row = logits.subarray(s * classes, (s + 1) * classes)
    const logSum = logSumExp(row)
    for (let c = 0; c < classes; c++) {
      const target = smoothing / classes + (c === labels[s] ? 1 - smoothing : 0)
      if (target > 0) losses[s] -= target * (row[c] - logSum)
      dLogits[s * classes + c] = Math.exp(row[c] - logSum) - target
    }
  }
  return { losses, dLogits }
}

function logSumExp(row: FloatArray): number {
  let top = -Infinity
  for (const x of row) top = x > top || Number.isNaN(x) ? x : top
  let sum = 0
  for (const x of row) sum += Math.exp(x - top)
  return top + Math.log(sum)
}
