import type { Backend, Gradients } from '../backend.js'
import { sharesGradient, sharesOf } from '../route.js'
import { addInto } from './activation.js'
import { Matrix, matrix, optional } from './matrix.js'

export const route: Backend['route'] = (logits, active, over) => {
  const X = matrix(logits)
  const out = new Matrix(X.rows, X.cols)
  for (let t = 0; t < X.rows; t++) out.row(t).set(sharesOf(X.row(t), active, over))
  return out
}

export const routeGradient: Gradients['route'] = (dy, logits, active, over, dlogits) => {
  const [dY, X, dX] = [dy, logits, dlogits].map((x) => matrix(x, logits.rows, logits.cols))
  for (let t = 0; t < X.rows; t++)
    for (const [x, d] of sharesGradient(dY.row(t), X.row(t), active, over).entries()) dX.row(t)[x] += d
}

export const addRows: Backend['addRows'] = (y, x, rows, shares) => {
  const [Y, X, share] = [matrix(y), matrix(x, rows.length, y.cols), matrix(shares, y.rows, 1)]
  for (const [i, row] of rows.entries())
    for (let c = 0; c < Y.cols; c++) Y.row(row)[c] += share.row(row)[0] * X.row(i)[c]
}

export const addRowsGradient: Gradients['addRows'] = (dy, x, rows, shares, into) => {
  const [dY, X, share] = [matrix(dy), matrix(x, rows.length, dy.cols), matrix(shares, dy.rows, 1)]
  addInto(into.dx, X.rows, X.cols, (i, c) => share.row(rows[i])[0] * dY.row(rows[i])[c])
  const dShares = optional(into.dshares, dY.rows, 1)
  if (!dShares) return
  for (const [i, row] of rows.entries())
    dShares.row(row)[0] += X.row(i).reduce((sum, one, c) => sum + one * dY.row(row)[c], 0)
}
