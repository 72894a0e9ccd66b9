import type { ConvArgs, Tensor } from '../backend.js'
import { readingOrder, type Segments } from '../segments.js'
import { expectState, firstRow, keepLastRows, stateOf, stepOf } from './segments.js'
import {
  at,
  type CpuTensor,
  cpu,
  expectContiguous,
  expectShape,
  type Machine,
  newTensor,
  withScratch,
} from './tensor.js'

export function causalConv(
  machine: Machine,
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  args: ConvArgs,
): CpuTensor {
  const x = cpu(input)
  const { direction, state } = args
  const [K, E] = [weight.rows, x.cols]
  expectShape('conv weight', weight, K, E)
  expectShape('conv bias', bias, 1, E)
  expectContiguous('conv weight', weight)
  const parts = readingOrder(args.segments, direction, x.rows)
  expectState('conv state', state, K, E, parts)
  const y = newTensor(machine, x.rows, E)
  withScratch(machine, K * E * 4 + K * 4, (zeros) => {
    machine.kernels.clear({ at: zeros, bytes: K * E * 4 })
    for (const part of parts) {
      machine.kernels.causalConv({
        rows: part.rows,
        E,
        K,
        x: firstRow(x, part, direction),
        xStep: stepOf(x, direction),
        before: (part.resumes && stateOf(state, part, K)) || zeros,
        weight: at(weight),
        bias: at(bias),
        activate: args.activation === 'silu' ? 1 : 0,
        taps: zeros + K * E * 4,
        out: firstRow(y, part, direction),
        outStep: stepOf(y, direction),
      })
      keepLastRows(machine, x, part, direction, state, K)
    }
  })
  return y
}

/** The windows of a strided convolution, see `Backend.unfold`. */
export function unfold(
  machine: Machine,
  input: Tensor,
  window: number,
  stride: number,
  segments: Segments,
  state: Tensor | null,
): CpuTensor {
  const x = cpu(input)
  if (window < stride) throw new RangeError(`a window of ${window} rows with a stride of ${stride}`)
  const parts = readingOrder(segments, 'forward', x.rows)
  expectState('unfold state', state, window, x.cols, parts)
  const cut = parts.find(({ rows }, s) => segments.ends[s] === 0 && rows % stride)
  if (cut) throw new RangeError(`a segment that does not end has ${cut.rows} rows, not a multiple of ${stride}`)
  const windows = parts.map(({ rows }) => Math.ceil(rows / stride))
  const y = newTensor(
    machine,
    windows.reduce((sum, count) => sum + count, 0),
    window * x.cols,
  )
  const bytes = window * x.cols * 4
  withScratch(machine, bytes, (zeros) => {
    machine.kernels.clear({ at: zeros, bytes })
    let to = y.at
    parts.forEach((part, s) => {
      machine.kernels.unfoldRows({
        rows: part.rows,
        cols: x.cols,
        x: firstRow(x, part, 'forward'),
        xStep: x.step,
        before: (part.resumes && stateOf(state, part, window)) || zeros,
        window,
        stride,
        count: windows[s],
        y: to,
      })
      to += windows[s] * y.step
      keepLastRows(machine, x, part, 'forward', state, window)
    })
  })
  return y
}
