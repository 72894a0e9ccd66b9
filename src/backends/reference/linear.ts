import type { Backend, Gradients } from '../backend.js'
import { activated, addInto, fill } from './activation.js'
import { Matrix, matrix, optional } from './matrix.js'

export const linear: Backend['linear'] = async (x, weight, options = {}) => {
  const X = matrix(x)
  const W = matrix(weight, weight.rows, X.cols)
  const bias = optional(options.bias, 1, W.rows)
  const residual = optional(options.residual, X.rows, W.rows)
  return fill(new Matrix(X.rows, W.rows), (t, o) => {
    let sum = 0
    for (let i = 0; i < X.cols; i++) sum += X.data[t * X.stride + i] * W.data[o * W.stride + i]
    const y = activated(sum + (bias ? bias.data[o] : 0), options.activation ?? 'none')
    return residual ? y + residual.data[t * residual.stride + o] : y
  })
}

export const linearGradient: Gradients['linear'] = async (dy, x, weight, { dx, dWeight, dBias }) => {
  const X = matrix(x)
  const W = matrix(weight, weight.rows, X.cols)
  const dY = matrix(dy, X.rows, W.rows)
  addInto(dx, X.rows, X.cols, (t, i) => {
    let sum = 0
    for (let o = 0; o < W.rows; o++) sum += dY.data[t * dY.stride + o] * W.data[o * W.stride + i]
    return sum
  })
  addInto(dWeight, W.rows, W.cols, (o, i) => {
    let sum = 0
    for (let t = 0; t < X.rows; t++) sum += dY.data[t * dY.stride + o] * X.data[t * X.stride + i]
    return sum
  })
  addInto(dBias, 1, W.rows, (_, o) => {
    let sum = 0
    for (let t = 0; t < X.rows; t++) sum += dY.data[t * dY.stride + o]
    return sum
  })
}
