import { type AttentionPart, placeOf, readAttention } from '../attention.js'
import type { AttentionArgs, AttentionCache, Backend, Gradients } from '../backend.js'
import { Matrix, matrix, optional } from './matrix.js'

/** The product of `width` numbers of a from i on and of b from j on. */
function dot(a: Float64Array, i: number, b: Float64Array, j: number, width: number): number {
  let sum = 0
  for (let e = 0; e < width; e++) sum += a[i + e] * b[j + e]
  return sum
}

/** Adds to `width` numbers of y from i on a multiple of those of x from j on. */
function addTo(y: Float64Array, i: number, x: Float64Array, j: number, width: number, factor: number): void {
  for (let e = 0; e < width; e++) y[i + e] += factor * x[j + e]
}

function softmax(scores: number[]): number[] {
  const most = scores.reduce((a, b) => Math.max(a, b))
  const powers = scores.map((score) => Math.exp(score - most))
  const sum = powers.reduce((a, b) => a + b)
  return powers.map((power) => power / sum)
}

/** Rows of x that the row at `position` sees, the oldest first: of the chunk, and of the cache those before it. */
function seenFrom(
  position: number,
  window: number,
  x: Matrix,
  { from, slot, start }: AttentionPart,
  cache: Matrix | null = null,
  capacity = 0,
): Float64Array[] {
  const rows: Float64Array[] = []
  for (let p = Math.max(0, position - window + 1); p <= position; p++) {
    const at = placeOf(p, capacity) * x.cols
    rows.push(p >= start ? x.row(from + p - start) : cache!.row(slot).subarray(at, at + x.cols))
  }
  return rows
}

const operands = (args: AttentionArgs, cache: AttentionCache | null) => ({
  ...readAttention(args, cache),
  q: matrix(args.q),
  k: matrix(args.k),
  v: matrix(args.v),
})

export const attention: Backend['attention'] = (args, cache) => {
  const { q, k, v, groups, capacity, parts } = operands(args, cache)
  const { heads, width, scale, window } = args
  const [keys, values] = [cache && matrix(cache.keys), cache && matrix(cache.values)]
  const out = new Matrix(q.rows, q.cols)
  for (const part of parts) {
    for (let t = 0; t < part.rows; t++) {
      const [query, y] = [q.row(part.from + t), out.row(part.from + t)]
      const seenKeys = seenFrom(part.start + t, window, k, part, keys, capacity)
      const seenValues = seenFrom(part.start + t, window, v, part, values, capacity)
      for (let h = 0; h < heads; h++) {
        const g = Math.floor((h * groups) / heads)
        const shares = softmax(seenKeys.map((key) => scale * dot(query, h * width, key, g * width, width)))
        for (const [i, value] of seenValues.entries()) addTo(y, h * width, value, g * width, width, shares[i])
      }
    }
    if (!keys || !values || part.slot < 0) continue
    for (let t = Math.max(0, part.rows - capacity); t < part.rows; t++) {
      const at = placeOf(part.start + t, capacity) * k.cols
      keys.row(part.slot).set(k.row(part.from + t), at)
      values.row(part.slot).set(v.row(part.from + t), at)
    }
  }
  return out
}

export const attentionGradient: Gradients['attention'] = (dy, args, into) => {
  const { q, k, v, groups, parts } = operands(args, null)
  const { heads, width, scale, window } = args
  const dY = matrix(dy, q.rows, q.cols)
  const [dQ, dK, dV] = [
    optional(into.dq, q.rows, q.cols),
    optional(into.dk, k.rows, k.cols),
    optional(into.dv, v.rows, v.cols),
  ]
  for (const part of parts)
    for (let t = 0; t < part.rows; t++) {
      const row = part.from + t
      const seenKeys = seenFrom(t, window, k, part)
      const seenValues = seenFrom(t, window, v, part)
      for (let h = 0; h < heads; h++) {
        const [mine, theirs] = [h * width, Math.floor((h * groups) / heads) * width]
        const shares = softmax(seenKeys.map((key) => scale * dot(q.row(row), mine, key, theirs, width)))
        const dShares = seenValues.map((value) => dot(dY.row(row), mine, value, theirs, width))
        const mean = shares.reduce((sum, share, i) => sum + share * dShares[i], 0)
        for (const [i, key] of seenKeys.entries()) {
          const dScore = scale * shares[i] * (dShares[i] - mean)
          const other = row - seenKeys.length + 1 + i
          if (dQ) addTo(dQ.row(row), mine, key, theirs, width, dScore)
          if (dK) addTo(dK.row(other), theirs, q.row(row), mine, width, dScore)
          if (dV) addTo(dV.row(other), theirs, dY.row(row), mine, width, shares[i])
        }
      }
    }
}
