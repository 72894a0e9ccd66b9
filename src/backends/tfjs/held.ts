import type { Tensor2D } from '@tensorflow/tfjs-core'
import type { Tensor } from '../backend.js'
import type { Tfjs } from './load.js'

/**
 * A tensor of this backend. Those of TensorFlow.js never change: what is written in place takes another one, and a view
 * slices what it is a view of whenever it is read, and writes through to it.
 */
export abstract class Held implements Tensor {
  constructor(
    protected readonly tf: Tfjs,
    readonly rows: number,
    readonly cols: number,
  ) {}

  /** [rows, cols]; within `tf.tidy`, which disposes of what a view makes. */
  abstract read(): Tensor2D
  /** Takes the numbers of `next` [rows, cols] in place of its own; within `tf.tidy`. */
  abstract replace(next: Tensor2D): void
}

/** Owns its numbers until it is disposed of. */
export class Owned extends Held {
  constructor(
    tf: Tfjs,
    private value: Tensor2D,
  ) {
    super(tf, value.shape[0], value.shape[1])
  }

  read(): Tensor2D {
    return this.value
  }

  replace(next: Tensor2D): void {
    this.value.dispose()
    this.value = this.tf.keep(next)
  }

  dispose(): void {
    this.value.dispose()
  }
}

/** Rows (axis 0) or columns (axis 1) of another tensor, from .. to - 1. */
export class Slice extends Held {
  constructor(
    tf: Tfjs,
    private readonly of: Held,
    private readonly axis: 0 | 1,
    private readonly from: number,
    private readonly to: number,
  ) {
    super(tf, axis === 0 ? to - from : of.rows, axis === 1 ? to - from : of.cols)
  }

  read(): Tensor2D {
    return this.part(this.from, this.to)
  }

  replace(next: Tensor2D): void {
    const length = this.axis === 0 ? this.of.rows : this.of.cols
    const parts = [this.part(0, this.from), next, this.part(this.to, length)]
    this.of.replace(this.tf.concat(parts, this.axis))
  }

  private part(from: number, to: number): Tensor2D {
    const { rows, cols } = this.of
    const [begin, size]: [number, number][] =
      this.axis === 0
        ? [
            [from, 0],
            [to - from, cols],
          ]
        : [
            [0, from],
            [rows, to - from],
          ]
    return this.tf.slice(this.of.read(), begin, size)
  }
}

/** Another tensor with other dimensions. */
export class Reshaped extends Held {
  constructor(
    tf: Tfjs,
    private readonly of: Held,
    rows: number,
    cols: number,
  ) {
    super(tf, rows, cols)
  }

  read(): Tensor2D {
    return this.tf.reshape(this.of.read(), [this.rows, this.cols])
  }

  replace(next: Tensor2D): void {
    this.of.replace(this.tf.reshape(next, [this.of.rows, this.of.cols]))
  }
}

/** The tensor of this backend behind one. A dimension that is given must fit: TensorFlow.js would broadcast another. */
export function held(x: Tensor, rows = x.rows, cols = x.cols): Held {
  if (!(x instanceof Held)) throw new Error('a tensor of another backend')
  if (x.rows !== rows || x.cols !== cols)
    throw new Error(`a tensor is [${x.rows}, ${x.cols}] where [${rows}, ${cols}] was expected`)
  return x
}
