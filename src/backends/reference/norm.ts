import type { NormSpec } from '../../spec.js'
import type { Backend, Gradients } from '../backend.js'
import { groupsOf } from '../norm-groups.js'
import { Matrix, matrix, optional } from './matrix.js'

/** The normalised row, (x - mean) / sqrt(variance + eps), without the mean for RMSNorm; and the factor. */
function normalised(row: Float64Array, spec: NormSpec): { scaled: Float64Array; factor: number } {
  const mean = spec.kind === 'layer' ? row.reduce((sum, x) => sum + x, 0) / row.length : 0
  const variance = row.reduce((sum, x) => sum + (x - mean) ** 2, 0) / row.length
  const factor = 1 / Math.sqrt(variance + spec.eps)
  return { scaled: row.map((x) => (x - mean) * factor), factor }
}

export const norm: Backend['norm'] = (x, spec, weight, bias) => {
  const X = matrix(x)
  const w = optional(weight, 1, X.cols)
  const b = optional(bias, 1, X.cols)
  const out = new Matrix(X.rows, X.cols)
  for (let t = 0; t < X.rows; t++)
    for (const [from, to] of groupsOf(X.cols, spec.groups)) {
      const { scaled } = normalised(X.row(t).subarray(from, to), spec)
      out.row(t).set(
        scaled.map((s, i) => s * (w ? w.data[from + i] : 1) + (b ? b.data[from + i] : 0)),
        from,
      )
    }
  return out
}

export const normGradient: Gradients['norm'] = (dy, x, spec, weight, into) => {
  const X = matrix(x)
  const dY = matrix(dy, X.rows, X.cols)
  const w = optional(weight, 1, X.cols)
  const dX = optional(into.dx, X.rows, X.cols)
  const dW = optional(into.dWeight, 1, X.cols)
  const dB = optional(into.dBias, 1, X.cols)
  for (let t = 0; t < X.rows; t++)
    for (const [from, to] of groupsOf(X.cols, spec.groups)) {
      const { scaled, factor } = normalised(X.row(t).subarray(from, to), spec)
      const g = dY.row(t).subarray(from, to)
      const dScaled = g.map((d, i) => d * (w ? w.data[from + i] : 1))
      const mean = spec.kind === 'layer' ? dScaled.reduce((sum, d) => sum + d, 0) / g.length : 0
      const along = dScaled.reduce((sum, d, i) => sum + d * scaled[i], 0) / g.length
      for (let i = 0; i < g.length; i++) {
        if (dX) dX.row(t)[from + i] += factor * (dScaled[i] - mean - scaled[i] * along)
        if (dW) dW.data[from + i] += g[i] * scaled[i]
        if (dB) dB.data[from + i] += g[i]
      }
    }
}
