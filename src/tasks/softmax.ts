/** Probabilities of logits [labels]; float64. */
export function softmax(logits: ArrayLike<number>): Float64Array {
  const out = Float64Array.from(logits)
  const max = out.reduce((a, b) => Math.max(a, b))
  let sum = 0
  for (let i = 0; i < out.length; i++) sum += out[i] = Math.exp(out[i] - max)
  for (let i = 0; i < out.length; i++) out[i] /= sum
  return out
}
