import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core'
import { type Direction, type Part, readingOrder, type Segments } from '../segments.js'
import type { Tfjs } from './load.js'

/** The rows in reading order, or back from it: those of a reverse pass are turned round, the last one first. */
export const turned = <T extends Tensor>(tf: Tfjs, x: T, direction: Direction): T =>
  direction === 'forward' ? x : tf.reverse(x, 0)

/** The segments in reading order, `from` counted in the rows as `turned` puts them. */
export function turnedParts(segments: Segments, direction: Direction, rows: number): Part[] {
  let from = 0
  return readingOrder(segments, direction, rows).map((part) => {
    const placed = { ...part, from }
    from += part.rows
    return placed
  })
}

/** Rows of x by their numbers. */
export const rowsAt = (tf: Tfjs, x: Tensor2D, rows: ArrayLike<number>): Tensor2D =>
  tf.gather(x, tf.tensor1d(Int32Array.from(rows), 'int32'))
