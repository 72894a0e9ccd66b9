import type { Tensor } from '../backend.js'

/** A tensor of the reference backend: float64, rows `stride` numbers apart; a view shares the numbers of its root. */
export class Matrix implements Tensor {
  released = false

  constructor(
    readonly rows: number,
    readonly cols: number,
    readonly data = new Float64Array(rows * cols),
    readonly stride = cols,
    readonly root: Matrix | null = null,
  ) {}

  /** [cols], in place. */
  row(r: number): Float64Array {
    return this.data.subarray(r * this.stride, r * this.stride + this.cols)
  }
}

/** The matrix behind a tensor. A dimension that is given must fit: here mistakes of the layers should be loud. */
export function matrix(x: Tensor, rows = x.rows, cols = x.cols): Matrix {
  if (!(x instanceof Matrix)) throw new Error('a tensor of another backend')
  if ((x.root ?? x).released) throw new Error('a tensor was used after its release')
  if (x.rows !== rows || x.cols !== cols)
    throw new Error(`a tensor is [${x.rows}, ${x.cols}] where [${rows}, ${cols}] was expected`)
  return x
}

export const optional = (x: Tensor | null | undefined, rows: number, cols: number) => (x ? matrix(x, rows, cols) : null)

/** A state tensor with blocks of [rows, cols], one for each slot. */
export class Slots {
  private readonly all: Matrix

  constructor(
    state: Tensor,
    readonly rows: number,
    cols: number,
  ) {
    this.all = matrix(state, Math.max(1, Math.floor(state.rows / rows)) * rows, cols)
  }

  /** Row r of the block of a slot, in place. */
  row(slot: number, r: number): Float64Array {
    if ((slot + 1) * this.rows > this.all.rows) throw new Error(`slot ${slot} of a state with ${this.all.rows} rows`)
    return this.all.row(slot * this.rows + r)
  }
}

export const slots = (state: Tensor | null, rows: number, cols: number) => (state ? new Slots(state, rows, cols) : null)
