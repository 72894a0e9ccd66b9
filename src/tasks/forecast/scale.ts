import { newWeight, widened } from '../../backends/weight.js'
import { exitCodes, UserError } from '../../errors.js'
import type { Weights } from '../../layers/params.js'
import type { ForecastHead, ModelSpec } from '../../spec.js'

/** A model that forecasts. */
export type Forecaster = ModelSpec & { head: ForecastHead }

/** Errors: 2 for another model. */
export function forecaster(spec: ModelSpec): Forecaster {
  const { head } = spec
  if (head?.kind !== 'forecast') throw new UserError('this model does not forecast; FlowState does', exitCodes.usage)
  return { ...spec, head }
}

/** The weights of a model whose recurrences take steps that are `scale` times as long. */
export function inScale(spec: ModelSpec, weights: Weights, scale: number): Weights {
  if (scale === 1) return weights
  const scaled = new Map(weights)
  for (const i of spec.blocks.keys()) {
    const name = `blocks.${i}.mixer.log_step`
    const log_step = weights.get(name)
    if (!log_step) throw new Error(`${name} is missing`)
    const weight = newWeight('f32', log_step.rows, log_step.cols)
    weight.data.set(widened(log_step).map((log) => log + Math.log(scale)))
    scaled.set(name, weight)
  }
  return scaled
}
