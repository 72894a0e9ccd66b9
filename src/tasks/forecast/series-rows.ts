/** A series as a model reads it, with what its numbers were divided by at each step. */
export interface SeriesRows {
  /** [T, width]: the value, less the mean and over the deviation so far; where the model takes missing values, 1 beside it if this one is. */
  rows: Float32Array
  mean: Float64Array
  deviation: Float64Array
}

/** Of a variance, as the official code has it. */
const least = 1e-5

/**
 * Values (NaN: missing) and `masked` missing ones behind them, each step normalised by the mean of what was seen up to it and the
 * root of the mean square around the means of their own steps (FlowState, arXiv 2508.05287, causal RevIN).
 */
export function seriesRows(values: ArrayLike<number>, masked: number, width: number): SeriesRows {
  const T = values.length + masked
  const [rows, mean, deviation] = [new Float32Array(T * width), new Float64Array(T), new Float64Array(T)]
  let [seen, sum, squares] = [0, 0, 0]
  for (let t = 0; t < T; t++) {
    const value = t < values.length ? values[t] : Number.NaN
    const missing = Number.isNaN(value)
    if (!missing) {
      seen++
      sum += value
    }
    mean[t] = seen > 0 ? sum / seen : 0
    if (!missing) squares += (value - mean[t]) ** 2
    deviation[t] = Math.sqrt(Math.max(seen > 0 ? squares / seen : 0, least))
    rows[t * width] = missing ? 0 : (value - mean[t]) / deviation[t]
    if (width > 1) rows[t * width + 1] = missing ? 1 : 0
  }
  return { rows, mean, deviation }
}
