import type { Tensor } from '../backend.js'
import type { Dtype } from '../weight.js'
import type { Block } from './buffers.js'

/** Rows of numbers in a buffer of the GPU, `step` numbers apart. All are float32 but the parts of a weight (`StoredWeight`). */
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
    readonly dtype: Dtype = 'f32',
  ) {}

  get contiguous(): boolean {
    return this.step === this.cols || this.rows <= 1
  }
}

/**
 * A weight that does not lie in one tensor of float32: in tensors of its rows, one after the other, where one would be too large, and in the
 * type of its file. Products and look-ups read it so; for anything else there is a float32 copy, made when it is first asked for.
 */
export class StoredWeight implements Tensor {
  private copy: GpuTensor | null = null

  constructor(
    readonly rows: number,
    readonly cols: number,
    readonly parts: readonly GpuTensor[],
    private readonly widen: () => GpuTensor,
  ) {}

  /** View on rows from .. to - 1, for products and look-ups; for anything else it is widened with the rest. */
  rowsOf(from: number, to: number): StoredWeight {
    let first = 0
    const parts = this.parts.flatMap((part) => {
      const [start, end] = [Math.max(from - first, 0), Math.min(to - first, part.rows)]
      first += part.rows
      return start < end ? [rowsOf(part, start, end)] : []
    })
    return new StoredWeight(to - from, this.cols, parts, () => rowsOf(this.widened, from, to))
  }

  get widened(): GpuTensor {
    this.copy ??= this.widen()
    return this.copy
  }

  /** All that it lies in. */
  get tensors(): GpuTensor[] {
    return this.copy ? [...this.parts, this.copy] : [...this.parts]
  }
}

/** x as this backend knows it, of float32. A dimension that is given must fit. */
export function gpu(tensor: Tensor, rows = tensor.rows, cols = tensor.cols): GpuTensor {
  const x = tensor instanceof StoredWeight ? tensor.widened : tensor
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
  return new GpuTensor(x.block, x.at + from * x.step, to - from, x.cols, x.step, false, x.dtype)
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
