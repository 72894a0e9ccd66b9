import type { Pooling, Tensor } from '../backend.js'
import { countEnds, poolingOrder, type Segments } from '../segments.js'
import { expectState, firstRow, stateOf } from './segments.js'
import { at, type CpuTensor, cpu, type Machine, newTensor, withScratch } from './tensor.js'

/** See `Backend.pool`. The carry holds D float64 numbers for each slot. */
export function pool(
  machine: Machine,
  input: Tensor,
  segments: Segments,
  how: Pooling,
  carry: Tensor | null,
): CpuTensor {
  const { kernels, memory } = machine
  const x = cpu(input)
  const D = x.cols
  const parts = poolingOrder(segments, x.rows)
  expectState('carry', carry, 1, 2 * D, parts)
  const y = newTensor(machine, countEnds(segments), D)
  let to = y.at
  withScratch(machine, D * 8, (values) => {
    at(carry) // before the views of the memory: it may be zeros that nobody has written yet
    for (const part of parts) {
      const { f32, f64 } = memory
      const running = f64.subarray(values / 8, values / 8 + D)
      const kept = stateOf(carry, part, 1)
      if (part.resumes && kept) running.set(f64.subarray(kept / 8, kept / 8 + D))
      else running.fill(how === 'max' ? -Infinity : 0)
      const from = firstRow(x, part, 'forward')
      const { rows } = part
      if (how === 'mean') kernels.sumRows({ rows, cols: D, x: from, xStep: x.step, into: values })
      else if (how === 'max') kernels.maxRows({ rows, cols: D, x: from, xStep: x.step, into: values })
      else if (rows > 0) {
        const last = (from + (rows - 1) * x.step) / 4
        running.set(f32.subarray(last, last + D))
      }
      if (part.ends) {
        const divisor = how === 'mean' ? part.total : 1
        for (let i = 0; i < D; i++) f32[to / 4 + i] = running[i] / divisor
        to += y.step
      } else if (kept) f64.set(running, kept / 8)
    }
  })
  return y
}
