import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { devices } from '../../src/backends/registry.js'
import { wholeSegments } from '../../src/backends/segments.js'
import { openCheckpoint } from '../../src/checkpoints/open.js'
import { Network } from '../../src/engine/network.js'
import { Session } from '../../src/engine/session.js'
import { uploadWeights } from '../../src/layers/params.js'
import { forecastSteps, maskedSteps } from '../../src/tasks/forecast/horizon.js'
import { inScale } from '../../src/tasks/forecast/scale.js'
import { seriesRows } from '../../src/tasks/forecast/series-rows.js'
import { Expected } from './expected.js'
import { type Check, slack } from './folders.js'

interface Arguments {
  scale_factor: number | null
  prediction_length: number | null
  prediction_type: 'median' | null
  series_shape: [number, number, number]
}

/** Forecasts of whole series, with other horizons and scales, missing values and masked steps. */
export const checkFlowState: Check = async (folder, backendName) => {
  const { case_arguments } = JSON.parse(await readFile(join(folder, 'meta.json'), 'utf8'))
  const expected = await Expected.read(folder, slack[backendName])
  const { spec, weights } = await openCheckpoint(folder)
  if (spec.head?.kind !== 'forecast') throw new Error('expected a model that forecasts')
  const { head } = spec
  const b = await devices[backendName].open()
  for (const [name, given] of Object.entries(case_arguments as Record<string, Arguments>)) {
    const [batch, L] = given.series_shape
    const scale = given.scale_factor ?? 1
    const network = new Network(b, spec, uploadWeights(b, inScale(spec, weights, scale)))
    const past = expected.get(`${name}.past_values`).data
    // What the official code gives: less than it was asked for in the case `pl47short`.
    const [, Q, given_steps] = expected.get(`${name}.quantile_outputs`).shape
    const horizon = given.prediction_length ?? given_steps
    const masked = maskedSteps(head, scale, horizon)
    const found: Record<string, number[]> = { mean: [], median: [], quantiles: [], revin_mean: [], revin_stdev: [] }
    for (let series = 0; series < batch; series++) {
      const rows = seriesRows(past.subarray(series * L, (series + 1) * L), masked, spec.d_embed)
      const session = new Session(network, { chunk: L + masked, outputs: [{ head: true }] })
      const { reads } = await session.push({ input: rows.rows, segments: wholeSegments(Int32Array.of(0, L + masked)) })
      const steps = forecastSteps(head, scale, horizon, L, reads[0].data, rows).slice(0, given_steps)
      session.close()
      found.mean.push(...steps.map(({ mean }) => mean))
      found.median.push(...steps.map(({ quantiles }) => quantiles[head.quantiles.indexOf(0.5)]))
      for (let q = 0; q < Q; q++) found.quantiles.push(...steps.map(({ quantiles }) => quantiles[q]))
      found.revin_mean.push(...rows.mean)
      found.revin_stdev.push(...rows.deviation)
    }
    expected.compare(`${name}.prediction_outputs`, found[given.prediction_type ?? 'mean'])
    expected.compare(`${name}.quantile_outputs`, found.quantiles)
    for (const statistic of ['revin_mean', 'revin_stdev'])
      if (expected.has(`${name}.${statistic}`)) expected.compare(`${name}.${statistic}`, found[statistic])
  }
  await b.close()
  // What comes between them, at all rows of a batch, time first: outputs that hold are enough.
  expected.checkAllCompared(/(hidden_state|hidden_states\.\d|normalized|embedded|prediction_length|scale_factor)$/)
  return expected.comparisons
}
