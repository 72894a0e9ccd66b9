import type { Piece } from '../../engine/pack.js'
import { exitCodes, UserError } from '../../errors.js'
import type { Series, SeriesTable } from '../../input/series/table.js'
import type { Weights } from '../../layers/params.js'
import type { Forecast } from '../../output/forecasts.js'
import { type ComputeOptions, planFor, startNote } from '../compute.js'
import { notFinite, predict } from '../predict.js'
import { patchSteps } from './decode.js'
import { contextSteps, forecastSteps, maskedSteps } from './horizon.js'
import { type Forecaster, inScale } from './scale.js'
import { type SeriesRows, seriesRows } from './series-rows.js'

export interface ForecastOptions extends ComputeOptions {
  /** Steps to foretell; default: as many as the model says at once. */
  horizon?: number
  /** Steps in the season of the series, such as 7 for days in a week; default: 24, for which the model was made. */
  season?: number
}

/** Of FlowState (arXiv 2508.05287): its steps are as long as the hours of a day. */
const modelSeason = 24

interface SeriesNote extends SeriesRows {
  name: string
  /** Values that were read, and the number of the step behind them. */
  seen: number
  next: number
}

/** Forecasts of all series of a table, one after the other. Errors: 65 for a series that cannot be read, 69 for an answer that is not finite. */
export async function* forecasts(
  model: { spec: Forecaster; weights: Weights },
  { series, times }: SeriesTable,
  options: ForecastOptions,
): AsyncGenerator<Forecast> {
  const { spec } = model
  const { head } = spec
  const { season = modelSeason, device, tmpDir } = options
  const scale = modelSeason / season
  if (patchSteps(head, scale) === 0) {
    const longer = `one step is longer than the ${head.patch} that this model foretells, of ${modelSeason} in a season`
    throw new UserError(`--season ${season}: ${longer}`, exitCodes.usage)
  }
  const horizon = options.horizon ?? patchSteps(head, scale)
  const masked = maskedSteps(head, scale, horizon)
  const context = contextSteps(head, scale, horizon)
  const plan = planFor(model, options, { uncut: context + masked })
  const weights = inScale(spec, model.weights, scale)
  // A date that cannot be written is found out before anything is computed.
  if (series.length > 0) times?.text(series[0].values.length + horizon - 1)
  const pieces = piecesOf(series, context, masked, spec.d_embed)
  const how = { device, plan, wanted: { head: true }, tmpDir, onStarted: startNote(options) }
  for await (const answer of predict(pieces, { spec, weights }, how)) {
    const { name, seen, next } = answer.note
    const failure = notFinite(answer, `series '${name}'`)
    if (failure) throw failure
    const steps = forecastSteps(head, scale, horizon, seen, answer.data, answer.note)
    if (!steps.every(({ mean }) => Number.isFinite(mean)))
      throw new UserError(`series '${name}': its numbers are too large`, exitCodes.data)
    for (const [h, { mean, quantiles }] of steps.entries())
      yield { series: name, time: times ? times.text(next + h) : String(next + h + 1), mean, quantiles }
  }
}

async function* piecesOf(
  series: readonly Series[],
  context: number,
  masked: number,
  width: number,
): AsyncGenerator<Piece<SeriesNote>> {
  for (const { name, values } of series) {
    if (width === 1 && values.includes(Number.NaN))
      throw new UserError(`series '${name}' has missing values, which this model does not take`, exitCodes.data)
    const read = values.subarray(Math.max(0, values.length - context))
    if (read.every(Number.isNaN)) {
      const where = read.length < values.length ? ` in the last ${read.length} steps, which the model reads` : ''
      throw new UserError(`series '${name}' has no values${where}`, exitCodes.data)
    }
    const rows = seriesRows(read, masked, width)
    const note = { ...rows, name, seen: read.length, next: values.length }
    yield { input: rows.rows, note, start: 0, ends: true, slot: -1 }
  }
}
