import type { Backend, Gradients } from '../backend.js'
import { activated, slope } from './activation.js'
import { Matrix, matrix, optional, type Slots, slots } from './matrix.js'
import { type Reading, readings } from './segments.js'

/** The inputs of step t of a segment, all channels; before its start, what was carried in, or nothing. */
function input(x: Matrix, { row, slot, resumes }: Reading, states: Slots | null, t: number): Float64Array | null {
  if (t >= 0) return x.row(row(t))
  return resumes && states ? states.row(slot, states.rows + t) : null
}

export const causalConv: Backend['causalConv'] = (x, weight, bias, { segments, direction, activation, state }) => {
  const X = matrix(x)
  const W = matrix(weight, weight.rows, X.cols)
  const b = optional(bias, 1, X.cols)
  const K = W.rows
  const states = slots(state, K, X.cols)
  const out = new Matrix(X.rows, X.cols)
  for (const reading of readings(segments, direction, X.rows)) {
    for (let t = 0; t < reading.rows; t++) {
      const sums = b ? b.row(0).slice() : new Float64Array(X.cols)
      for (let k = 0; k < K; k++)
        input(X, reading, states, t - (K - 1) + k)?.forEach((v, e) => {
          sums[e] += W.row(k)[e] * v
        })
      out.row(reading.row(t)).set(sums.map((sum) => activated(sum, activation)))
    }
    if (!states || reading.slot < 0) continue
    const last = Array.from({ length: K }, (_, k) => input(X, reading, states, reading.rows - K + k)?.slice())
    for (const [k, row] of last.entries()) states.row(reading.slot, k).set(row ?? new Float64Array(X.cols))
  }
  return out
}

export const causalConvGradient: Gradients['causalConv'] = (dy, x, weight, bias, args, into) => {
  const X = matrix(x)
  const W = matrix(weight, weight.rows, X.cols)
  const K = W.rows
  const dY = matrix(dy, X.rows, X.cols)
  const dX = optional(into.dx, X.rows, X.cols)
  const dW = optional(into.dWeight, K, X.cols)
  const dB = optional(into.dBias, 1, X.cols)
  const before = matrix(causalConv(x, weight, bias, { ...args, activation: 'none', state: null }))
  for (const { rows: length, row } of readings(args.segments, args.direction, X.rows))
    for (let t = 0; t < length; t++)
      for (let e = 0; e < X.cols; e++) {
        const at = row(t)
        const d = dY.data[at * dY.stride + e] * slope(before.data[at * before.stride + e], args.activation)
        if (dB) dB.data[e] += d
        for (let k = 0; k < K; k++) {
          const from = t - (K - 1) + k
          if (from < 0) continue
          if (dW) dW.data[k * dW.stride + e] += d * X.data[row(from) * X.stride + e]
          if (dX) dX.data[row(from) * dX.stride + e] += d * W.data[k * W.stride + e]
        }
      }
}
