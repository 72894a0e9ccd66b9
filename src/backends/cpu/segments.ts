import type { Direction, Segments, Tensor } from '../backend.js'
import { type CpuTensor, cpu, type Machine } from './tensor.js'

/** One segment of a chunk, on its way through an operation that looks across rows. */
export interface Part {
  /** First row in the chunk. */
  from: number
  rows: number
  /** Starts from the carried state, not from zero. */
  resumes: boolean
  /** Its end is what the state holds afterwards. */
  keeps: boolean
}

/** The segments in reading order: left to right, or right to left for a reverse pass. */
export function readingOrder({ offsets, continues, goesOn }: Segments, direction: Direction, rows: number): Part[] {
  const count = offsets.length - 1
  if (offsets[0] !== 0 || offsets[count] !== rows) throw new RangeError(`segments ${offsets} of ${rows} rows`)
  const forward = direction === 'forward'
  const parts: Part[] = []
  for (let s = 0; s < count; s++) {
    const from = offsets[s]
    const length = offsets[s + 1] - from
    if (length <= 0) throw new RangeError(`segment ${s} of ${count} is empty`)
    const resumes = forward ? continues && s === 0 : goesOn && s === count - 1
    parts.push({ from, rows: length, resumes, keeps: s === (forward ? count - 1 : 0) })
  }
  return forward ? parts : parts.reverse()
}

/** Address of the row of a part that is read first. */
export function firstRow(x: CpuTensor, part: Part, direction: Direction): number {
  return x.at + (direction === 'forward' ? part.from : part.from + part.rows - 1) * x.step
}

/** Bytes from a row to the one read next. */
export const stepOf = (x: CpuTensor, direction: Direction): number => (direction === 'forward' ? x.step : -x.step)

/** The last rows of the part go into `state` [K, cols], newest last, if the state keeps them. */
export function keepLastRows(
  { kernels }: Machine,
  x: CpuTensor,
  part: Part,
  direction: Direction,
  state: Tensor | null,
) {
  if (!state || !part.keeps) return
  const { at, rows, cols } = cpu(state)
  if (!part.resumes) kernels.clear({ at, bytes: rows * cols * 4 })
  const [from, step] = [firstRow(x, part, direction), stepOf(x, direction)]
  kernels.lastRows({ rows: part.rows, cols, x: from, xStep: step, K: rows, state: at })
}
