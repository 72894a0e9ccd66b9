import type { Gradients } from '../backend.js'
import { matrix } from './matrix.js'

export const adamw: Gradients['adamw'] = (param, grad, m, v, settings) => {
  const { lr, beta1, beta2, eps, weightDecay, step, scale } = settings
  const P = matrix(param)
  const G = matrix(grad, P.rows, P.cols)
  const M = matrix(m, P.rows, P.cols)
  const V = matrix(v, P.rows, P.cols)
  for (let r = 0; r < P.rows; r++) {
    const [p, g, first, second] = [P.row(r), G.row(r), M.row(r), V.row(r)]
    for (let c = 0; c < P.cols; c++) {
      const d = g[c] * scale
      first[c] = beta1 * first[c] + (1 - beta1) * d
      second[c] = beta2 * second[c] + (1 - beta2) * d * d
      const mean = first[c] / (1 - beta1 ** step)
      const square = second[c] / (1 - beta2 ** step)
      p[c] -= lr * (mean / (Math.sqrt(square) + eps) + weightDecay * p[c])
    }
  }
}

export const runningMean: Gradients['runningMean'] = (mean, x, share) => {
  const M = matrix(mean)
  const X = matrix(x, M.rows, M.cols)
  for (let r = 0; r < M.rows; r++) {
    const [row, now] = [M.row(r), X.row(r)]
    for (let c = 0; c < M.cols; c++) row[c] += share * (now[c] - row[c])
  }
}

export const globalNorm: Gradients['globalNorm'] = async (tensors) => {
  let squares = 0
  for (const x of tensors) {
    const X = matrix(x)
    for (let r = 0; r < X.rows; r++) for (const value of X.row(r)) squares += value * value
  }
  return Math.sqrt(squares)
}
