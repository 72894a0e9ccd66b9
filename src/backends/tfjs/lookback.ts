import type { Tensor2D } from '@tensorflow/tfjs-core'
import type { ConvArgs } from '../backend.js'
import type { Part, Segments } from '../segments.js'
import { activated } from './elementwise.js'
import type { Held } from './held.js'
import type { Tfjs } from './load.js'
import { rowsAt, turned, turnedParts } from './reading.js'

/**
 * Rows [T, D] in reading order with those that came before them, in one tensor to gather from: a row of zeros, the T rows, and the
 * `width` rows that a state holds for each slot, the newest last.
 */
class Lookback {
  private readonly all: Tensor2D
  private readonly firstOfState: number

  constructor(
    private readonly tf: Tfjs,
    x: Tensor2D,
    private readonly width: number,
    private readonly state: Held | null,
  ) {
    const [T, D] = x.shape
    this.all = tf.concat([tf.zeros([1, D]), x, ...(state ? [state.read()] : [])], 0)
    this.firstOfState = 1 + T
  }

  /** Where the input of step t of a part lies, -width <= t. */
  at({ from, rows, slot, resumes }: Part, t: number): number {
    if (t >= 0) return t < rows ? 1 + from + t : 0
    return resumes && this.state ? this.firstOfState + (slot + 1) * this.width + t : 0
  }

  /** Of every row of the parts the one `rows` before it, at most `width`. */
  before(parts: readonly Part[], rows: number): Tensor2D {
    return this.gather(parts.flatMap((part) => Array.from({ length: part.rows }, (_, t) => this.at(part, t - rows))))
  }

  gather(indices: ArrayLike<number>): Tensor2D {
    return rowsAt(this.tf, this.all, indices)
  }

  /** Leaves the last `width` inputs of each part in its slot. */
  keep(parts: readonly Part[]): void {
    const { state, width, firstOfState } = this
    if (!state || parts.every(({ slot }) => slot < 0)) return
    const kept = Int32Array.from({ length: state.rows }, (_, r) => firstOfState + r)
    for (const part of parts)
      if (part.slot >= 0)
        for (let k = 0; k < width; k++) kept[part.slot * width + k] = this.at(part, part.rows - width + k)
    state.replace(this.gather(kept))
  }
}

/** x [T, E], weight [K, E], bias [1, E] -> [T, E]. */
export function causalConv(
  tf: Tfjs,
  x: Held,
  weight: Held,
  bias: Held | null,
  { segments, direction, activation }: ConvArgs,
  state: Held | null,
): Tensor2D {
  const [K, E] = [weight.rows, weight.cols]
  const parts = turnedParts(segments, direction, x.rows)
  const inputs = new Lookback(tf, turned(tf, x.read(), direction), K, state)
  let sum = bias ? bias.read() : (tf.zeros([1, E]) as Tensor2D)
  for (let k = 0; k < K; k++) {
    const w = tf.slice(weight.read(), [k, 0], [1, E])
    sum = tf.add(sum, tf.mul(inputs.before(parts, K - 1 - k), w))
  }
  inputs.keep(parts)
  return turned(tf, activated(tf, sum, activation), direction)
}

/** x [T, D] -> [T, D]: of each row the one before it; state [slots, D]: the last row. */
export function rowsBefore(tf: Tfjs, x: Tensor2D, parts: readonly Part[], state: Held | null): Tensor2D {
  const inputs = new Lookback(tf, x, 1, state)
  const before = inputs.before(parts, 1)
  inputs.keep(parts)
  return before
}

/** x [T, D] -> [T', window D]. */
export function unfold(
  tf: Tfjs,
  x: Held,
  window: number,
  stride: number,
  segments: Segments,
  state: Held | null,
): Tensor2D {
  const parts = turnedParts(segments, 'forward', x.rows)
  const inputs = new Lookback(tf, x.read(), window, state)
  const indices: number[] = []
  for (const part of parts)
    for (let end = stride; end < part.rows + stride; end += stride)
      for (let t = end - window; t < end; t++) indices.push(inputs.at(part, t))
  const windows = tf.reshape(inputs.gather(indices), [indices.length / window, window * x.cols]) as Tensor2D
  inputs.keep(parts)
  return windows
}
