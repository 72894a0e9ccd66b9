import type { FloatArray } from '../backends/backend.js'
import { logSoftmaxRows } from '../runtime/softmax.js'
import { blank } from '../tasks/language/ctc-decode.js'

/** The fewest rows that can spell a text: one for each token, and a blank between equal neighbours. */
export function ctcRows(target: ArrayLike<number>): number {
  let rows = target.length
  for (let i = 1; i < target.length; i++) if (target[i] === target[i - 1]) rows++
  return rows
}

/**
 * Connectionist temporal classification (Graves et al. 2006): minus the log of the probability that the rows of a
 * segment spell its target, summed over all alignments, by forward and backward sums in log space and float64. logits
 * [T, V]; segment s is the rows offsets[s] .. offsets[s + 1] - 1, its text is targets[s] (token ids 1 .. V - 1, may be
 * empty).
 *
 * Returns the loss of each segment and the gradient [T, V] of their sum. A target that needs more rows than its segment
 * has (`ctcRows`), or that has probability 0 otherwise, has the loss Infinity and the gradient 0: leave it out of a
 * mean.
 */
export function ctcLoss(
  logits: FloatArray,
  offsets: ArrayLike<number>,
  targets: readonly ArrayLike<number>[],
): { losses: Float64Array; dLogits: Float64Array } {
  const V = logits.length / offsets[offsets.length - 1]
  const losses = new Float64Array(targets.length)
  const dLogits = new Float64Array(logits.length)
  for (const [s, target] of targets.entries()) {
    const [from, to] = [offsets[s] * V, offsets[s + 1] * V]
    const T = offsets[s + 1] - offsets[s]
    losses[s] = segmentLoss(logits.subarray(from, to), T, V, target, dLogits.subarray(from, to))
  }
  return { losses, dLogits }
}

/**
 * The states of an alignment are blank, token, blank, token, .. blank: S = 2 U + 1 of them, the odd ones are tokens.
 */
function segmentLoss(
  logits: FloatArray,
  T: number,
  V: number,
  target: ArrayLike<number>,
  dLogits: Float64Array,
): number {
  const U = target.length
  const S = 2 * U + 1
  if (T < ctcRows(target)) return Infinity
  if (T === 0) return 0
  const tokens = Int32Array.from({ length: S }, (_, s) => (s % 2 === 1 ? target[(s - 1) / 2] : blank))
  for (let s = 1; s < S; s += 2)
    if (!(tokens[s] > blank && tokens[s] < V)) throw new Error(`CTC: token ${tokens[s]}, expected 1 .. ${V - 1}`)
  /** A token may follow the one before it directly, without a blank, unless they are equal. */
  const skips = Uint8Array.from(tokens, (id, s) => (s % 2 === 1 && s > 1 && id !== tokens[s - 2] ? 1 : 0))
  const logP = logSoftmaxRows(logits, V)

  // Row t can only be in the states from which the end can still be reached, S - 2 (T - t), and that it can have
  // reached, 2 t + 1.
  const first = (t: number) => Math.max(0, S - 2 * (T - t))
  const last = (t: number) => Math.min(S - 1, 2 * t + 1)

  /** [T, S]: log probability of the rows 0 .. t, ending in state s. */
  const alpha = new Float64Array(T * S).fill(-Infinity)
  for (let s = first(0); s <= last(0); s++) alpha[s] = logP[tokens[s]]
  for (let t = 1; t < T; t++) {
    const before = (t - 1) * S
    for (let s = first(t); s <= last(t); s++) {
      const one = s > 0 ? alpha[before + s - 1] : -Infinity
      const two = skips[s] ? alpha[before + s - 2] : -Infinity
      alpha[t * S + s] = logAdd(alpha[before + s], one, two) + logP[t * V + tokens[s]]
    }
  }
  const end = T * S - 1
  const logTotal = logAdd(alpha[end], U > 0 ? alpha[end - 1] : -Infinity, -Infinity)
  if (logTotal === -Infinity) return Infinity

  /** [S]: log probability of the rows t + 1 .. T - 1, given state s at row t. */
  let beta = new Float64Array(S).fill(-Infinity)
  beta[S - 1] = 0
  if (U > 0) beta[S - 2] = 0
  for (let t = T - 1; t >= 0; t--) {
    for (let v = 0; v < V; v++) dLogits[t * V + v] = Math.exp(logP[t * V + v])
    for (let s = first(t); s <= last(t); s++)
      dLogits[t * V + tokens[s]] -= Math.exp(alpha[t * S + s] + beta[s] - logTotal)
    if (t === 0) break
    const earlier = new Float64Array(S).fill(-Infinity)
    const there = (s: number) => beta[s] + logP[t * V + tokens[s]]
    for (let s = first(t - 1); s <= last(t - 1); s++) {
      const one = s + 1 < S ? there(s + 1) : -Infinity
      const two = s + 2 < S && skips[s + 2] ? there(s + 2) : -Infinity
      earlier[s] = logAdd(there(s), one, two)
    }
    beta = earlier
  }
  return -logTotal
}

/** log(exp(a) + exp(b) + exp(c)) */
function logAdd(a: number, b: number, c: number): number {
  const top = Math.max(a, b, c)
  if (top === -Infinity) return top
  return top + Math.log(Math.exp(a - top) + Math.exp(b - top) + Math.exp(c - top))
}
