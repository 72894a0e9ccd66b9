import type { Backend, Gradients } from '../backend.js'
import { poolingOrder } from '../segments.js'
import { Matrix, matrix, slots } from './matrix.js'
import { readings } from './segments.js'

function copyRows(x: Matrix, rows: Int32Array): Matrix {
  const out = new Matrix(rows.length, x.cols)
  rows.forEach((r, t) => {
    out.row(t).set(x.row(r))
  })
  return out
}

function addRows(dy: Matrix, rows: Int32Array, into: Matrix): void {
  rows.forEach((r, t) => {
    for (let i = 0; i < dy.cols; i++) into.data[r * into.stride + i] += dy.data[t * dy.stride + i]
  })
}

export const embedRows: Backend['embedRows'] = (ids, table) => gatherRows(table, ids)

export const embedRowsGradient: Gradients['embedRows'] = (dy, ids, dTable) =>
  addRows(matrix(dy, ids.length, dTable.cols), ids, matrix(dTable))

export const gatherRows: Backend['gatherRows'] = (x, rows) => {
  for (const row of rows) if (!(row >= 0 && row < x.rows)) throw new RangeError(`row ${row} of ${x.rows}`)
  return copyRows(matrix(x), rows)
}

export const gatherRowsGradient: Gradients['gatherRows'] = (dy, rows, dx) =>
  addRows(matrix(dy, rows.length, dx.cols), rows, matrix(dx))

export const unfold: Backend['unfold'] = (x, window, stride, segments, state) => {
  const X = matrix(x)
  const D = X.cols
  const states = slots(state, window, D)
  const windows: Float64Array[] = []
  for (const { rows, row, slot, resumes } of readings(segments, 'forward', X.rows)) {
    const copy = (t: number, into: Float64Array) => {
      if (t >= 0 && t < rows) into.set(X.row(row(t)))
      else if (t < 0 && resumes && states) into.set(states.row(slot, window + t))
    }
    const windowTo = (end: number) => {
      const out = new Float64Array(window * D)
      for (let k = 0; k < window; k++) copy(end - window + k, out.subarray(k * D, (k + 1) * D))
      return out
    }
    for (let end = stride; end < rows + stride; end += stride) windows.push(windowTo(end))
    if (!states || slot < 0) continue
    const last = windowTo(rows)
    for (let k = 0; k < window; k++) states.row(slot, k).set(last.subarray(k * D, (k + 1) * D))
  }
  const out = new Matrix(windows.length, window * D)
  windows.forEach((w, j) => {
    out.row(j).set(w)
  })
  return out
}

export const unfoldGradient: Gradients['unfold'] = (dy, window, stride, segments, dx) => {
  const dX = matrix(dx)
  const D = dX.cols
  const dY = matrix(dy, dy.rows, window * D)
  let j = 0
  for (const { rows: length, row } of readings(segments, 'forward', dX.rows))
    for (let end = stride; end < length + stride; end += stride, j++)
      for (let k = 0; k < window; k++) {
        const t = end - window + k
        if (t < 0 || t >= length) continue
        for (let i = 0; i < D; i++) dX.data[row(t) * dX.stride + i] += dY.data[j * dY.stride + k * D + i]
      }
}

export const pool: Backend['pool'] = (x, segments, how, carry) => {
  const X = matrix(x)
  const D = X.cols
  const states = slots(carry, 1, 2 * D)
  const pooled: Float64Array[] = []
  for (const { from, rows, slot, resumes, ends, total } of poolingOrder(segments, X.rows)) {
    const value = new Float64Array(D).fill(how === 'max' ? -Infinity : 0)
    if (resumes && states) value.set(states.row(slot, 0).subarray(0, D))
    for (let t = from; t < from + rows; t++)
      X.row(t).forEach((one, i) => {
        value[i] = how === 'mean' ? value[i] + one : how === 'max' ? Math.max(value[i], one) : one
      })
    if (ends) pooled.push(how === 'mean' ? value.map((sum) => sum / total) : value)
    else if (states && slot >= 0) states.row(slot, 0).set(value)
  }
  const out = new Matrix(pooled.length, D)
  pooled.forEach((row, s) => {
    out.row(s).set(row)
  })
  return out
}

export const poolGradient: Gradients['pool'] = (dy, x, segments, how, dx) => {
  const X = matrix(x)
  const dX = matrix(dx, X.rows, X.cols)
  const parts = poolingOrder(segments, X.rows)
  const dY = matrix(dy, parts.length, X.cols)
  parts.forEach(({ from, rows }, s) => {
    dY.row(s).forEach((d, i) => {
      if (how === 'mean') for (let t = from; t < from + rows; t++) dX.row(t)[i] += d / rows
      else {
        // Of equal maxima the first one gets the gradient.
        let row = how === 'last' ? from + rows - 1 : from
        if (how === 'max') for (let t = from + 1; t < from + rows; t++) if (X.row(t)[i] > X.row(row)[i]) row = t
        dX.row(row)[i] += d
      }
    })
  })
}
