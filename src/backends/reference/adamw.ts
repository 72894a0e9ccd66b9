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
