import type { ForecastHead } from '../../spec.js'
import { decodeStep, legendre, patchSteps, type StepForecast } from './decode.js'
import type { SeriesRows } from './series-rows.js'

/** Missing steps behind a series that a horizon needs: as far as the last row foretells, no more. */
export const maskedSteps = (head: ForecastHead, scale: number, horizon: number): number =>
  Math.max(0, horizon - patchSteps(head, scale))

/** How many of its last values a series is read for: all that the model was made to read, less what comes behind them. */
export const contextSteps = (head: ForecastHead, scale: number, horizon: number): number =>
  Math.max(1, Math.floor(head.context / scale) - maskedSteps(head, scale, horizon))

/**
 * The steps 1 to `horizon` behind a series of `seen` values. logits [T, quantiles x d_basis]: what the model says at each row. The patch
 * behind the last value is followed by those behind every patch of missing ones; what is left comes from the last row.
 */
export function forecastSteps(
  head: ForecastHead,
  scale: number,
  horizon: number,
  seen: number,
  logits: Float32Array,
  { mean, deviation }: Pick<SeriesRows, 'mean' | 'deviation'>,
): StepForecast[] {
  const [steps, width] = [patchSteps(head, scale), head.quantiles.length * head.d_basis]
  const basis = legendre(head, scale)
  const lastRow = seen - 1 + maskedSteps(head, scale, horizon)
  return Array.from({ length: horizon }, (_, h) => {
    const row = Math.min(seen - 1 + Math.floor(h / steps) * steps, lastRow)
    const coefficients = logits.subarray(row * width, (row + 1) * width)
    return decodeStep(head, coefficients, basis, h - (row - (seen - 1)), { mean: mean[row], deviation: deviation[row] })
  })
}
