/** Probabilities of logits [labels]; float64. */
export function softmax(logits: ArrayLike<number>): Float64Array {
  const out = Float64Array.from(logits)
  const max = out.reduce((a, b) => Math.max(a, b))
  let sum = 0
  for (let i = 0; i < out.length; i++) sum += out[i] = Math.exp(out[i] - max)
  for (let i = 0; i < out.length; i++) out[i] /= sum
  return out
}

/** The logarithm of the sum of the exponentials of V logits from `from` on. */
export function logSumExp(logits: ArrayLike<number>, from: number, V: number): number {
  let top = -Infinity
  for (let v = 0; v < V; v++) top = Math.max(top, logits[from + v])
  let sum = 0
  for (let v = 0; v < V; v++) sum += Math.exp(logits[from + v] - top)
  return top + Math.log(sum)
}

/** out [V] = log probabilities of the row of logits that begins at `from`; float64. */
export function logSoftmax(logits: ArrayLike<number>, from: number, out: Float64Array): void {
  const logSum = logSumExp(logits, from, out.length)
  for (let v = 0; v < out.length; v++) out[v] = logits[from + v] - logSum
}

/** Log probabilities [T, V] of logits [T, V], row by row. */
export function logSoftmaxRows(logits: ArrayLike<number>, V: number): Float64Array {
  const out = new Float64Array(logits.length)
  for (let from = 0; from < logits.length; from += V) logSoftmax(logits, from, out.subarray(from, from + V))
  return out
}
