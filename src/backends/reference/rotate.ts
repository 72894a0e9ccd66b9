import type { Backend, Gradients, Pairs, Tensor } from '../backend.js'
import { pairOf, pairsTurned } from '../pairs.js'
import { addInto } from './activation.js'
import { Matrix, matrix } from './matrix.js'

/** x turned, or with `direction` -1 turned back. */
function turned(x: Tensor, turns: Tensor, heads: number, pairs: Pairs, direction: 1 | -1): Matrix {
  const X = matrix(x)
  const angles = matrix(turns, X.rows, turns.cols)
  const { width, n } = pairsTurned(X.cols, heads, turns.cols)
  const out = new Matrix(X.rows, X.cols)
  for (let t = 0; t < X.rows; t++) {
    out.row(t).set(X.row(t))
    for (let first = 0; first < X.cols; first += width)
      for (let i = 0; i < n; i++) {
        const [cos, sin] = [angles.row(t)[i], direction * angles.row(t)[n + i]]
        const [a, b] = pairOf(pairs, i, n).map((one) => first + one)
        out.row(t)[a] = X.row(t)[a] * cos - X.row(t)[b] * sin
        out.row(t)[b] = X.row(t)[b] * cos + X.row(t)[a] * sin
      }
  }
  return out
}

export const rotate: Backend['rotate'] = (x, turns, heads, pairs) => turned(x, turns, heads, pairs, 1)

export const rotateGradient: Gradients['rotate'] = (dy, x, turns, heads, pairs, { dx, dturns }) => {
  if (dx) {
    const back = turned(dy, turns, heads, pairs, -1)
    addInto(dx, back.rows, back.cols, (t, i) => back.row(t)[i])
  }
  if (!dturns) return
  const [dY, X] = [matrix(dy), matrix(x, dy.rows, dy.cols)]
  const dTurns = matrix(dturns, X.rows, turns.cols)
  const { width, n } = pairsTurned(X.cols, heads, turns.cols)
  for (let t = 0; t < X.rows; t++)
    for (let first = 0; first < X.cols; first += width)
      for (let i = 0; i < n; i++) {
        const [a, b] = pairOf(pairs, i, n).map((one) => first + one)
        dTurns.row(t)[i] += dY.row(t)[a] * X.row(t)[a] + dY.row(t)[b] * X.row(t)[b]
        dTurns.row(t)[n + i] += dY.row(t)[b] * X.row(t)[a] - dY.row(t)[a] * X.row(t)[b]
      }
}
