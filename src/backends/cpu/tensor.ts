import type { Tensor } from '../backend.js'
import type { Kernels } from './kernels.generated.js'
import type { Memory } from './memory.js'

/** Columns that count as zero although no zero has been written yet: see blank.ts. A tensor and its views share one. */
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
    public blank: Unwritten | null = null,
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

/** x as this backend knows it. */
export function own(x: Tensor): CpuTensor {
  if (!(x instanceof CpuTensor)) throw new TypeError('a tensor of another backend')
  return x
}

/** x for an operation that reads it or adds to it: all its numbers are there. */
export function cpu(x: Tensor): CpuTensor {
  const known = own(x)
  known.blank?.fill(known)
  return known
}

/** A new tensor, contents undefined; `spareRows` are allocated after its rows. */
export function newTensor({ memory }: Machine, rows: number, cols: number, spareRows = 0): CpuTensor {
  return new CpuTensor(memory.allocate((rows + spareRows) * cols * 4), rows, cols, cols * 4, true)
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
