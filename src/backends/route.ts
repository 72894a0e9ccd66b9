import type { FloatArray } from './backend.js'

/** Of a row of logits, the shares of the `active` largest, of equal ones the first; 0 for the others. See `Backend.route`. */
export function sharesOf(logits: FloatArray, active: number, over: 'active' | 'all'): Float64Array {
  const order = Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a] || a - b)
  const largest = logits[order[0]]
  const chosen = order.slice(0, active)
  const counted = over === 'all' ? order : chosen
  const sum = counted.reduce((total, x) => total + Math.exp(logits[x] - largest), 0)
  const shares = new Float64Array(logits.length)
  for (const x of chosen) shares[x] = Math.exp(logits[x] - largest) / sum
  return shares
}

/** The gradient of the logits from that of their shares: through a softmax, of which the shares are all or, over `all`, a part. */
export function sharesGradient(
  dy: FloatArray,
  logits: FloatArray,
  active: number,
  over: 'active' | 'all',
): Float64Array {
  const shares = sharesOf(logits, active, over)
  const softmax = over === 'all' ? sharesOf(logits, logits.length, 'all') : shares
  const mean = shares.reduce((sum, share, x) => sum + share * dy[x], 0)
  return softmax.map((one, x) => shares[x] * dy[x] - one * mean)
}
