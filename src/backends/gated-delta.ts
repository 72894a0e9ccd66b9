import type { GatedDeltaArgs } from './backend.js'

export interface GatedDeltaShape {
  T: number
  /** Heads of values, and of queries and keys. */
  H: number
  G: number
  /** Numbers of a key, and of a value. */
  K: number
  V: number
}

/** Errors: RangeError where heads do not divide what they are parts of. */
export function gatedDeltaShape({ q, v, dt, groups: G }: GatedDeltaArgs): GatedDeltaShape {
  const H = dt.cols
  const [K, V] = [q.cols / G, v.cols / H]
  if (![K, V, H / G].every(Number.isInteger))
    throw new RangeError(`${H} heads of ${v.cols} values, ${G} heads of ${q.cols} keys`)
  return { T: q.rows, H, G, K, V }
}
