import type { Tensor } from '../backend.js'
import { rowsOf, type Weight } from '../weight.js'
import type { Kernels } from './kernels.generated.js'
import type { Memory } from './memory.js'

/** Columns that count as zero although no zero has been written yet: see lazy-zeros.ts. A tensor and its views share one. */
export interface Unwritten {
  /** All of x belongs to it. */
  covers(x: CpuTensor): boolean
  /** x is about to be written, and no longer belongs to it. */
  take(x: CpuTensor): void
  /** Writes the zeros of x that belong to it. */
  fill(x: CpuTensor): void
}

/** Rows of float32 numbers in the WebAssembly memory, `step` bytes apart. */
export class CpuTensor implements Tensor {
  constructor(
    /** Address of the first number. */
    readonly at: number,
    readonly rows: number,
    readonly cols: number,
    /** Bytes from one row to the next. */
    readonly step: number,
    /** Whether the memory at `at` is its own; false for a view and after release. */
    public owner: boolean,
    public lazyZeros: Unwritten | null = null,
  ) {}

  get contiguous(): boolean {
    return this.step === this.cols * 4 || this.rows === 1
  }
}

/** What the operations of this backend share. */
export interface Machine {
  memory: Memory
  kernels: Kernels
}

/**
 * A weight in shared memory. What multiplies by it or looks up rows of it reads it there (shared-product.ts); for every other operation
 * all of it is brought in, for good.
 */
export class SharedWeight implements Tensor {
  private copy: CpuTensor | null = null

  constructor(
    private readonly machine: Machine,
    private readonly weight: Weight,
  ) {}

  get rows(): number {
    return this.weight.rows
  }

  get cols(): number {
    return this.weight.cols
  }

  /** All of it, for good. */
  all(): CpuTensor {
    this.copy ??= this.slice(0, this.rows)
    return this.copy
  }

  /** View on the rows from .. to - 1: what is made of it, it makes anew. */
  part(from: number, to: number): SharedWeight {
    return new SharedWeight(this.machine, rowsOf(this.weight, from, to))
  }

  /** A new tensor of the rows from .. to - 1. */
  slice(from: number, to: number): CpuTensor {
    const { data, cols } = this.weight
    return this.widened(to - from, (into) => into.set(data.subarray(from * cols, to * cols)))
  }

  /** A new tensor of these rows. */
  gather(rows: Int32Array): CpuTensor {
    const { data, cols } = this.weight
    return this.widened(rows.length, (into) => {
      for (const [t, row] of rows.entries()) into.set(data.subarray(row * cols, (row + 1) * cols), t * cols)
    })
  }

  release(): void {
    if (this.copy) freeTensor(this.machine, this.copy)
    this.copy = null
  }

  /** A new tensor of numbers that `write` puts down as they are stored. */
  private widened(rows: number, write: (into: Float32Array | Uint16Array) => void): CpuTensor {
    const { dtype, cols } = this.weight
    const { kernels } = this.machine
    const y = newTensor(this.machine, rows, cols)
    const { buffer } = this.machine.memory.wasm
    const n = rows * cols
    if (dtype === 'f32') {
      write(new Float32Array(buffer, y.at, n))
      return y
    }
    // In the upper half of their own place, from where widening never meets a number that it has not read.
    const bits = y.at + 2 * n
    write(new Uint16Array(buffer, bits, n))
    if (dtype === 'f16') kernels.widenF16({ n, x: bits, y: y.at })
    else kernels.widenBF16({ n, x: bits, y: y.at })
    return y
  }
}

/** x as this backend knows it. */
export function own(x: Tensor): CpuTensor {
  if (x instanceof SharedWeight) return x.all()
  if (!(x instanceof CpuTensor)) throw new TypeError('a tensor of another backend')
  return x
}

/** x for an operation that reads it or adds to it: all its numbers are there. */
export function cpu(x: Tensor): CpuTensor {
  const known = own(x)
  known.lazyZeros?.fill(known)
  return known
}

/** View on columns from .. to - 1. */
export function columnsOf(tensor: Tensor, from: number, to: number): CpuTensor {
  const x = own(tensor)
  if (!(from >= 0 && from <= to && to <= x.cols)) throw new RangeError(`columns ${from} .. ${to} of ${x.cols}`)
  return new CpuTensor(x.at + from * 4, x.rows, to - from, x.step, false, x.lazyZeros)
}

/** A new tensor, contents undefined; `extraRows` are allocated after its rows. */
export function newTensor({ memory }: Machine, rows: number, cols: number, extraRows = 0): CpuTensor {
  return new CpuTensor(memory.allocate((rows + extraRows) * cols * 4), rows, cols, cols * 4, true)
}

export function freeTensor({ memory }: Machine, x: CpuTensor): void {
  if (!x.owner) return
  x.owner = false
  memory.release(x.at)
}

/** Runs `work` with `bytes` bytes of scratch memory. */
export function withScratch<R>({ memory }: Machine, bytes: number, work: (at: number) => R): R {
  const at = memory.allocate(bytes)
  try {
    return work(at)
  } finally {
    memory.release(at)
  }
}

/** The address of an optional tensor, 0 for none. */
export const at = (x: Tensor | null | undefined): number => (x ? cpu(x).at : 0)

/** Rows of x to the same rows of y, as the kernels name them. */
export const rowByRow = (x: CpuTensor, y: CpuTensor) => ({
  rows: x.rows,
  cols: x.cols,
  x: x.at,
  xStep: x.step,
  y: y.at,
  yStep: y.step,
})

/** The numbers of a contiguous tensor; valid until the next allocation. */
export function numbers({ memory }: Machine, x: CpuTensor): Float32Array<ArrayBuffer> {
  return new Float32Array(memory.wasm.buffer, x.at, x.rows * x.cols)
}

/** Row by row the numbers of a tensor, in place; valid until the next allocation. */
export function hostRows({ memory }: Machine, tensor: Tensor): (t: number) => Float32Array {
  const x = cpu(tensor)
  const { f32 } = memory
  return (t) => f32.subarray((x.at + t * x.step) / 4, (x.at + t * x.step) / 4 + x.cols)
}

/** A wrong shape would write over other tensors, so every operation says what it needs. */
export function expectShape(what: string, x: Tensor | null | undefined, rows: number, cols: number): void {
  if (x && (x.rows !== rows || x.cols !== cols)) {
    throw new RangeError(`${what} is [${x.rows}, ${x.cols}], expected [${rows}, ${cols}]`)
  }
}

/** Parameters and states are read without a step. */
export function expectContiguous(what: string, x: Tensor | null | undefined): void {
  if (x && !cpu(x).contiguous) throw new RangeError(`${what} must be contiguous`)
}

/** x [rows, cols] += numbers from the host; no output, no work. */
export function addNumbers(machine: Machine, into: Tensor | null, values: ArrayLike<number>): void {
  if (!into) return
  const x = cpu(into)
  const { f32 } = machine.memory
  for (let i = 0; i < values.length; i++) f32[(x.at + Math.floor(i / x.cols) * x.step) / 4 + (i % x.cols)] += values[i]
}
