import type { Backend } from '../backend.js'
import { widened } from '../weight.js'
import { activate, activateGradient, combine, combineGradient, scale, scaleGradient } from './activation.js'
import { attention, attentionGradient } from './attention.js'
import { causalConv, causalConvGradient } from './conv.js'
import { addRows, addRowsGradient, route, routeGradient } from './experts.js'
import { gatedDelta, gatedDeltaGradient } from './gated-delta.js'
import { linear, linearGradient } from './linear.js'
import { Matrix, matrix } from './matrix.js'
import { norm, normGradient } from './norm.js'
import { rotate, rotateGradient } from './rotate.js'
import {
  embedRows,
  embedRowsGradient,
  gatherRows,
  gatherRowsGradient,
  pool,
  poolGradient,
  unfold,
  unfoldGradient,
} from './rows.js'
import { s4d, s4dGradient } from './s4d.js'
import { s5, s5Gradient } from './s5.js'
import { selectiveScan, selectiveScanGradient } from './scan.js'
import { ssd, ssdGradient } from './ssd.js'
import { trapezoid, trapezoidGradient } from './trapezoid.js'
import { turns, turnsGradient } from './turns.js'
import { adamw, globalNorm, runningMean } from './update.js'

/** Plain TypeScript in float64: slow, and the judge of every other backend. It has no state of its own. */
export function openReferenceBackend(): Backend {
  const upload = (data: ArrayLike<number>, rows: number, cols: number) => {
    if (data.length !== rows * cols) throw new Error(`${data.length} numbers for a tensor [${rows}, ${cols}]`)
    return new Matrix(
      rows,
      cols,
      Float64Array.from({ length: rows * cols }, (_, i) => data[i]),
    )
  }
  return {
    name: 'reference',
    upload,
    weight: (weight) => upload(widened(weight), weight.rows, weight.cols),
    zeros: (rows, cols) => new Matrix(rows, cols),
    write: (x, data) => {
      const X = matrix(x)
      if (data.length !== X.rows * X.cols) throw new Error(`${data.length} numbers for a tensor [${X.rows}, ${X.cols}]`)
      for (let r = 0; r < X.rows; r++) for (let i = 0; i < X.cols; i++) X.row(r)[i] = data[r * X.cols + i]
    },
    download: async (x) => {
      const X = matrix(x)
      const out = new Matrix(X.rows, X.cols)
      for (let r = 0; r < X.rows; r++) out.row(r).set(X.row(r))
      return out.data
    },
    release: (...tensors) => {
      for (const x of tensors) if (x && !matrix(x).root) matrix(x).released = true
    },
    columns: (x, from, to) => {
      const X = matrix(x)
      if (from < 0 || to > X.cols || from > to) throw new RangeError(`columns ${from} to ${to} of ${X.cols}`)
      return new Matrix(X.rows, to - from, X.data.subarray(from), X.stride, X.root ?? X)
    },
    rows: (x, from, to) => {
      const X = matrix(x)
      if (!(from >= 0 && from <= to && to <= X.rows)) throw new RangeError(`rows ${from} to ${to} of ${X.rows}`)
      return new Matrix(to - from, X.cols, X.data.subarray(from * X.stride), X.stride, X.root ?? X)
    },
    reshape: (x, rows, cols) => {
      const X = matrix(x)
      if (X.stride !== X.cols) throw new Error('only a contiguous tensor can be reshaped')
      if (rows * cols !== X.rows * X.cols) throw new Error(`[${X.rows}, ${X.cols}] as [${rows}, ${cols}]`)
      return new Matrix(rows, cols, X.data, cols, X.root ?? X)
    },
    close: async () => {},
    embedRows,
    linear,
    norm,
    causalConv,
    selectiveScan,
    s4d,
    s5,
    ssd,
    gatedDelta,
    turns,
    trapezoid,
    attention,
    rotate,
    route,
    addRows,
    scale,
    combine,
    activate,
    unfold,
    gatherRows,
    pool,
    gradients: {
      embedRows: embedRowsGradient,
      linear: linearGradient,
      norm: normGradient,
      causalConv: causalConvGradient,
      keptStates: () => null,
      selectiveScan: selectiveScanGradient,
      s4d: s4dGradient,
      s5: s5Gradient,
      ssd: ssdGradient,
      gatedDelta: gatedDeltaGradient,
      turns: turnsGradient,
      trapezoid: trapezoidGradient,
      attention: attentionGradient,
      rotate: rotateGradient,
      route: routeGradient,
      addRows: addRowsGradient,
      scale: scaleGradient,
      combine: combineGradient,
      activate: activateGradient,
      unfold: unfoldGradient,
      gatherRows: gatherRowsGradient,
      pool: poolGradient,
      globalNorm,
      adamw,
      runningMean,
    },
  }
}
