import type { Tensor2D } from '@tensorflow/tfjs-core'
import type { Pooling } from '../backend.js'
import { poolingOrder, type Segments } from '../segments.js'
import type { Held } from './held.js'
import type { Tfjs } from './load.js'

/** x [T, D] -> [ends, D]. The first D columns of carry [slots, 2 D] are the running sum, maximum or last row, in float32. */
export function pool(tf: Tfjs, x: Held, segments: Segments, how: Pooling, carry: Held | null): Tensor2D {
  const D = x.cols
  const rows = (from: number, count: number) => tf.slice(x.read(), [from, 0], [count, D])
  const carried = (slot: number) => tf.slice(carry!.read(), [slot, 0], [1, D])
  const reduced = (from: number, count: number): Tensor2D => {
    if (how === 'last') return rows(from + count - 1, 1)
    return how === 'mean' ? tf.sum(rows(from, count), 0, true) : tf.max(rows(from, count), 0, true)
  }
  const both = (a: Tensor2D, b: Tensor2D): Tensor2D =>
    how === 'last' ? b : how === 'mean' ? tf.add(a, b) : tf.maximum(a, b)

  const pooled: Tensor2D[] = []
  const kept = new Map<number, Tensor2D>()
  for (const part of poolingOrder(segments, x.rows)) {
    const values: Tensor2D[] = []
    if (part.resumes && carry) values.push(carried(part.slot))
    if (part.rows > 0) values.push(reduced(part.from, part.rows))
    const value = values.reduce(both)
    if (part.ends) pooled.push(how === 'mean' ? tf.div(value, part.total) : value)
    else if (part.slot >= 0) kept.set(part.slot, value)
  }
  if (carry && kept.size > 0) {
    const slots = Array.from({ length: carry.rows }, (_, slot) => kept.get(slot) ?? carried(slot))
    carry.replace(
      tf.pad(tf.concat(slots, 0), [
        [0, 0],
        [0, D],
      ]),
    )
  }
  return pooled.length > 0 ? tf.concat(pooled, 0) : tf.zeros([0, D])
}
