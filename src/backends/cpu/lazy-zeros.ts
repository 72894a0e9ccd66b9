import type { Tensor } from '../backend.js'
import { type CpuTensor, type Machine, newTensor, own, type Unwritten } from './tensor.js'

/** A gradient that is written before it is added to needs no zeros; `cpu(x)` writes those of x that are missing. */
class LazyZeros implements Unwritten {
  private ranges: [from: number, to: number][]

  constructor(
    private readonly machine: Machine,
    private readonly base: CpuTensor,
  ) {
    this.ranges = [[0, base.cols]]
  }

  covers(x: CpuTensor): boolean {
    const [from, to] = this.columnsOf(x)
    return this.ranges.some(([first, end]) => first <= from && to <= end)
  }

  take(x: CpuTensor): void {
    const [from, to] = this.columnsOf(x)
    const beside = ([first, end]: [number, number]): [number, number][] => [
      [first, Math.min(end, from)],
      [Math.max(first, to), end],
    ]
    this.ranges = this.ranges.flatMap(beside).filter(([first, end]) => first < end)
  }

  fill(x: CpuTensor): void {
    const [from, to] = this.columnsOf(x)
    const { at, rows, step } = this.base
    for (const range of this.ranges) {
      const [first, end] = [Math.max(range[0], from), Math.min(range[1], to)]
      if (first < end) this.machine.kernels.clearRows({ rows, cols: end - first, x: at + first * 4, xStep: step })
    }
    this.take(x)
  }

  private columnsOf(x: CpuTensor): [from: number, to: number] {
    const from = (x.at - this.base.at) / 4
    return [from, from + x.cols]
  }
}

/** A new tensor of zeros. */
export function newZeros(machine: Machine, rows: number, cols: number): CpuTensor {
  const x = newTensor(machine, rows, cols)
  x.lazyZeros = new LazyZeros(machine, x)
  return x
}

/** Nothing has been written to x yet: it is all zeros. */
export function isUnwritten(x: Tensor): boolean {
  const known = own(x)
  return known.lazyZeros?.covers(known) ?? false
}

/** Whether nothing has been written to x yet, for an operation that then writes every number of it: from here on it is not. */
export function startWriting(x: Tensor): boolean {
  const known = own(x)
  if (!known.lazyZeros?.covers(known)) return false
  known.lazyZeros.take(known)
  return true
}
