import type { Tensor } from '../backend.js'
import type { Direction, Part } from '../segments.js'
import { at, type CpuTensor, expectContiguous, type Machine } from './tensor.js'

/** Address of the row of a part that is read first. */
export function firstRow(x: CpuTensor, part: Part, direction: Direction): number {
  return x.at + (direction === 'forward' ? part.from : part.from + part.rows - 1) * x.step
}

/** Bytes from a row to the one read next. */
export const stepOf = (x: CpuTensor, direction: Direction): number => (direction === 'forward' ? x.step : -x.step)

/** A state must have a block of [rows, cols] for each slot that the parts name. */
export function expectState(what: string, state: Tensor | null, rows: number, cols: number, parts: readonly Part[]) {
  if (!state) return
  expectContiguous(what, state)
  const slots = parts.reduce((most, { slot }) => Math.max(most, slot + 1), 1)
  if (state.cols === cols && state.rows % rows === 0 && state.rows >= slots * rows) return
  throw new RangeError(`${what} is [${state.rows}, ${state.cols}], expected [${slots} ${rows}, ${cols}]`)
}

/** Address of the block of [rows, cols] that a part has in a state; 0: it has none. */
export function stateOf(state: Tensor | null, { slot }: Part, rows: number): number {
  return state && slot >= 0 ? at(state) + slot * rows * state.cols * 4 : 0
}

/** The last rows of the part go into its block of `state` [slots K, cols], newest last. */
export function keepLastRows(
  { kernels }: Machine,
  x: CpuTensor,
  part: Part,
  direction: Direction,
  state: Tensor | null,
  K: number,
) {
  const kept = stateOf(state, part, K)
  if (!kept) return
  if (!part.resumes) kernels.clear({ at: kept, bytes: K * x.cols * 4 })
  const [from, step] = [firstRow(x, part, direction), stepOf(x, direction)]
  kernels.lastRows({ rows: part.rows, cols: x.cols, x: from, xStep: step, K, state: kept })
}
