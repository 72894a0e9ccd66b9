import type { Tensor } from '../backend.js'
import type { Block } from './buffers.js'

/** Rows of float32 numbers in a buffer of the GPU, `step` numbers apart. */
export class GpuTensor implements Tensor {
  constructor(
    readonly block: Block,
    /** Index of the first number. An operation is told it as a number: a binding could only begin at multiples of 256 bytes. */
    readonly at: number,
    readonly rows: number,
    readonly cols: number,
    /** Numbers from one row to the next. */
    readonly step: number,
    /** Whether the block is its own; false for a view and after release. */
    public owner: boolean,
  ) {}

  get contiguous(): boolean {
    return this.step === this.cols || this.rows <= 1
  }
}

/** x as this backend knows it. A dimension that is given must fit. */
export function gpu(x: Tensor, rows = x.rows, cols = x.cols): GpuTensor {
  if (!(x instanceof GpuTensor)) throw new TypeError('a tensor of another backend')
  if (x.rows !== rows || x.cols !== cols)
    throw new RangeError(`a tensor is [${x.rows}, ${x.cols}] where [${rows}, ${cols}] was expected`)
  return x
}

export const optional = (x: Tensor | null | undefined, rows: number, cols: number): GpuTensor | null =>
  x ? gpu(x, rows, cols) : null

/** A state with blocks of [rows, cols]; it has one for each of the slots. */
export function stateOf(
  state: Tensor | null,
  rows: number,
  cols: number,
  parts: readonly { slot: number }[],
): GpuTensor | null {
  if (!state) return null
  const slots = Math.floor(state.rows / rows)
  for (const { slot } of parts)
    if (slot >= slots) throw new RangeError(`slot ${slot} of a state with ${state.rows} rows`)
  return gpu(state, slots * rows, cols)
}

/** View on rows from .. to - 1. */
export function rowsOf(x: GpuTensor, from: number, to: number): GpuTensor {
  if (!(from >= 0 && from <= to && to <= x.rows)) throw new RangeError(`rows ${from} .. ${to} of ${x.rows}`)
  return new GpuTensor(x.block, x.at + from * x.step, to - from, x.cols, x.step, false)
}

/** View on columns from .. to - 1. */
export function columnsOf(x: GpuTensor, from: number, to: number): GpuTensor {
  if (!(from >= 0 && from <= to && to <= x.cols)) throw new RangeError(`columns ${from} .. ${to} of ${x.cols}`)
  return new GpuTensor(x.block, x.at + from, x.rows, to - from, x.step, false)
}

/** View of a contiguous tensor with other dimensions. */
export function reshaped(x: GpuTensor, rows: number, cols: number): GpuTensor {
  if (!x.contiguous) throw new RangeError('a tensor to reshape must be contiguous')
  if (rows * cols !== x.rows * x.cols) throw new RangeError(`[${x.rows}, ${x.cols}] as [${rows}, ${cols}]`)
  return new GpuTensor(x.block, x.at, rows, cols, cols, false)
}
