import type { Backend, Gradients } from '../backend.js'
import { addInto } from './activation.js'
import { Matrix, matrix, optional } from './matrix.js'
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
  const carried = optional(state, window, D)
  const windows: Float64Array[] = []
  for (const { length, row, carriedIn, carriedOut } of readings(segments, 'forward')) {
    const before = carried && carriedIn ? carried.data.slice() : null
    const copy = (t: number, into: Float64Array) => {
      if (t >= 0 && t < length) into.set(X.row(row(t)))
      else if (t < 0 && before && carried)
        into.set(before.subarray((window + t) * carried.stride, (window + t) * carried.stride + D))
      else into.fill(0)
    }
    for (let end = stride; end < length + stride; end += stride) {
      const out = new Float64Array(window * D)
      for (let k = 0; k < window; k++) copy(end - window + k, out.subarray(k * D, (k + 1) * D))
      windows.push(out)
    }
    if (carried && carriedOut) for (let k = 0; k < window; k++) copy(length - window + k, carried.row(k))
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
  for (const { length, row } of readings(segments, 'forward'))
    for (let end = stride; end < length + stride; end += stride, j++)
      for (let k = 0; k < window; k++) {
        const t = end - window + k
        if (t < 0 || t >= length) continue
        for (let i = 0; i < D; i++) dX.data[row(t) * dX.stride + i] += dY.data[j * dY.stride + k * D + i]
      }
}

export const reduceRows: Backend['reduceRows'] = (x, segments, how, carry) => {
  const X = matrix(x)
  const D = X.cols
  const sequences = readings(segments, 'forward')
  const out = new Float64Array(sequences.length * D)
  sequences.forEach(({ length, row, carriedIn }, s) => {
    for (let i = 0; i < D; i++) {
      let value = carriedIn && carry ? carry[i] : how === 'sum' ? 0 : -Infinity
      for (let t = 0; t < length; t++) {
        const one = X.data[row(t) * X.stride + i]
        value = how === 'sum' ? value + one : Math.max(value, one)
      }
      out[s * D + i] = value
    }
  })
  return out
}

export const reduceRowsGradient: Gradients['reduceRows'] = (dy, x, segments, how, dx) => {
  const X = matrix(x)
  const sequences = readings(segments, 'forward')
  const dY = matrix(dy, sequences.length, X.cols)
  sequences.forEach(({ length, row }, s) => {
    const part = new Matrix(length, X.cols)
    for (let i = 0; i < X.cols; i++) {
      const d = dY.data[s * dY.stride + i]
      let best = 0
      for (let t = 0; t < length; t++) {
        if (how === 'mean') part.data[t * X.cols + i] = d / length
        else if (X.data[row(t) * X.stride + i] > X.data[row(best) * X.stride + i]) best = t
      }
      // Of equal maxima the first one gets the gradient.
      if (how === 'max') part.data[best * X.cols + i] = d
    }
    const dX = matrix(dx, X.rows, X.cols)
    const rows = new Matrix(length, X.cols, dX.data.subarray(row(0) * dX.stride), dX.stride)
    addInto(rows, length, X.cols, (t, i) => part.data[t * X.cols + i])
  })
}
