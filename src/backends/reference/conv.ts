import type { Backend, Gradients } from '../backend.js'
import { activated, slope } from './activation.js'
import { Matrix, matrix, optional } from './matrix.js'
import { type Reading, readings } from './segments.js'

/** The input of channel e at step t of a segment; before its start, what was carried in. */
function input(x: Matrix, { row, carriedIn }: Reading, state: Matrix | null, t: number, e: number): number {
  if (t >= 0) return x.data[row(t) * x.stride + e]
  return carriedIn && state ? state.data[(state.rows + t) * state.stride + e] : 0
}

export const causalConv: Backend['causalConv'] = (x, weight, bias, { segments, direction, activation, state }) => {
  const X = matrix(x)
  const W = matrix(weight, weight.rows, X.cols)
  const b = optional(bias, 1, X.cols)
  const K = W.rows
  const carried = optional(state, K, X.cols)
  const before = carried && new Matrix(K, X.cols, carried.data.slice(), carried.stride)
  const out = new Matrix(X.rows, X.cols)
  for (const reading of readings(segments, direction)) {
    for (let t = 0; t < reading.length; t++)
      for (let e = 0; e < X.cols; e++) {
        let sum = b ? b.data[e] : 0
        for (let k = 0; k < K; k++) sum += W.data[k * W.stride + e] * input(X, reading, before, t - (K - 1) + k, e)
        out.data[reading.row(t) * out.stride + e] = activated(sum, activation)
      }
    if (carried && reading.carriedOut)
      for (let k = 0; k < K; k++)
        for (let e = 0; e < X.cols; e++)
          carried.data[k * carried.stride + e] = input(X, reading, before, reading.length - K + k, e)
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
  for (const { length, row } of readings(args.segments, args.direction))
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
