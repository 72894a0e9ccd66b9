import type { Pairs } from './backend.js'

/** Of a head, the numbers a and b of its pair i, of n. */
export const pairOf = (pairs: Pairs, i: number, n: number): [a: number, b: number] =>
  pairs === 'halves' ? [i, i + n] : [2 * i, 2 * i + 1]

/** How many pairs of each head are turned. Errors: RangeError where a head does not have as many. */
export function pairsTurned(cols: number, heads: number, turnsCols: number): { width: number; n: number } {
  const [width, n] = [cols / heads, turnsCols / 2]
  if (!Number.isInteger(width) || !Number.isInteger(n) || 2 * n > width)
    throw new RangeError(`${n} pairs of ${heads} heads in ${cols} numbers`)
  return { width, n }
}
