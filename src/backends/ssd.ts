import type { SsdArgs } from './backend.js'

export interface SsdShape {
  T: number
  /** Heads, and channels of each. */
  H: number
  P: number
  /** Groups, and states of each. */
  G: number
  N: number
}

/** Errors: RangeError where heads or groups do not divide what they are parts of. */
export function ssdShape({ x, dt, B, groups: G }: SsdArgs): SsdShape {
  const { rows: T, cols } = x
  const H = dt.cols
  const [P, N] = [cols / H, B.cols / G]
  if (![P, N, H / G].every(Number.isInteger))
    throw new RangeError(`${H} heads of ${cols} channels, ${G} groups of ${B.cols} states`)
  return { T, H, P, G, N }
}
