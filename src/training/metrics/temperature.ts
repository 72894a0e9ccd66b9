import { temperatureBounds } from '../../checkpoints/spec-schema.js'
import { softmax } from '../../runtime/softmax.js'
import { crossEntropy } from '../losses.js'
import { calibrationOf } from './calibration.js'
import { argmaxRows } from './metrics.js'

/** A temperature, and what it does to the expected calibration error of the records that it was fitted on. */
export interface Calibrated {
  temperature: number
  error: { before: number; after: number }
}

/** Halvings of the interval: more than the digits that are kept. */
const halvings = 30

/**
 * What logits [S, C] must be divided by to give the labels [S] the largest likelihood. One record more, whose label could be any,
 * is spread over them: a few records that are all right would otherwise call for scores of 1. The loss is convex in the inverse
 * of the temperature, so the sign of its slope says on which side the minimum lies. Four digits.
 */
export function fitTemperature(logits: Float64Array, labels: ArrayLike<number>): number {
  const smoothing = 1 / (labels.length + 1)
  let [low, high] = temperatureBounds.map(Math.log)
  for (let i = 0; i < halvings; i++) {
    const middle = (low + high) / 2
    const inverse = Math.exp(-middle)
    const { dLogits } = crossEntropy(
      logits.map((x) => x * inverse),
      labels,
      smoothing,
    )
    const slope = dLogits.reduce((sum, d, k) => sum + d * logits[k], 0)
    if (slope > 0) low = middle
    else high = middle
  }
  return Number(Math.exp((low + high) / 2).toPrecision(4))
}

/** The temperature for logits [S, C] of records with these labels [S], and what it gains. */
export function calibrate(logits: Float64Array, labels: ArrayLike<number>): Calibrated {
  const temperature = fitTemperature(logits, labels)
  const classes = logits.length / labels.length
  const best = argmaxRows(logits, classes)
  const right = Array.from(best, (label, s) => label === labels[s])
  const errorAt = (temperature: number) => {
    const scores = Float64Array.from(best, (label, s) => {
      const row = logits.subarray(s * classes, (s + 1) * classes)
      return softmax(row.map((x) => x / temperature))[label]
    })
    return calibrationOf(scores, right).error
  }
  return { temperature, error: { before: errorAt(1), after: errorAt(temperature) } }
}
