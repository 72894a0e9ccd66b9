import { newWeight, widened } from '../../backends/weight.js'
import type { Weights } from '../../layers/params.js'
import type { ModelSpec } from '../../spec.js'

/** The weights of a model whose recurrences take steps that are `scale` times as long. */
export function inScale(spec: ModelSpec, weights: Weights, scale: number): Weights {
  if (scale === 1) return weights
  const scaled = new Map(weights)
  for (const i of spec.blocks.keys()) {
    const name = `blocks.${i}.mixer.log_step`
    const log_step = weights.get(name)
    if (!log_step) throw new Error(`${name} is missing`)
    const { rows, cols } = log_step
    const weight = newWeight('f32', rows, cols)
    weight.data.set(widened(log_step).map((log) => log + Math.log(scale)))
    scaled.set(name, weight)
  }
  return scaled
}
