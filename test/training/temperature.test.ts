import { describe, expect, it } from 'vitest'
import { Random } from '../../src/runtime/random.js'
import { softmax } from '../../src/runtime/softmax.js'
import { calibrate, fitTemperature } from '../../src/training/metrics/temperature.js'

const classes = 4

/** Logits of records whose labels are drawn from the softmax of logits / temperature. */
function drawn(records: number, temperature: number): { logits: Float64Array; labels: number[] } {
  const random = new Random(records, Math.round(1000 * temperature))
  const logits = Float64Array.from({ length: records * classes }, () => 8 * random.uniform())
  const labels = Array.from({ length: records }, (_, s) => {
    const p = softmax(logits.subarray(s * classes, (s + 1) * classes).map((x) => x / temperature))
    const place = random.uniform()
    let [label, below] = [0, p[0]]
    while (below < place && label < classes - 1) below += p[++label]
    return label
  })
  return { logits, labels }
}

/** Logits that call each record 0 by a margin, and their score at a temperature. */
const certain = (records: number, margin: number) =>
  Float64Array.from({ length: 2 * records }, (_, i) => (i % 2 === 0 ? margin : 0))
const scoreOf = (margin: number, temperature: number) => softmax([margin / temperature, 0])[0]

describe('the temperature', () => {
  it.each([0.3, 1, 2.5])('%s is found again from labels drawn with it', (temperature) => {
    const { logits, labels } = drawn(20_000, temperature)
    const found = fitTemperature(logits, labels)
    expect(Math.abs(found / temperature - 1)).toBeLessThan(0.03)
    expect(found).toBe(Number(found.toPrecision(4)))
  })

  it('is where the likelihood is largest', () => {
    const { logits, labels } = drawn(500, 1.7)
    const loss = (temperature: number) =>
      labels.reduce((sum, label, s) => {
        const p = softmax(logits.subarray(s * classes, (s + 1) * classes).map((x) => x / temperature))
        // The labels, and one record more whose label could be any.
        const spread = p.reduce((all, share) => all - Math.log(share), 0) / classes
        return sum - 500 * Math.log(p[label]) + spread
      }, 0)
    const found = fitTemperature(logits, labels)
    for (const other of [0.99, 1.01]) expect(loss(found)).toBeLessThan(loss(other * found))
  })

  it('follows the scale of the logits, whatever is added to a record', () => {
    const { logits, labels } = drawn(500, 1.7)
    const moved = logits.map((x, i) => 2 * x - 100 * Math.floor(i / classes))
    expect(fitTemperature(moved, labels) / fitTemperature(logits, labels)).toBeCloseTo(2, 2)
  })

  it('of records that are all right says how many there were, by the rule of succession', () => {
    for (const [records, margin] of [[1, 3], [20, 1], [20, 5], [400, 5]]) {
      const found = fitTemperature(certain(records, margin), new Int32Array(records))
      expect(scoreOf(margin, found)).toBeCloseTo(1 - 1 / (2 * records + 2), 3)
    } // biome-ignore format: a table
  })

  it('stays within its bounds where records are all wrong, or right by far', () => {
    expect(fitTemperature(certain(20, 5), new Int32Array(20).fill(1))).toBe(20)
    expect(fitTemperature(certain(20, 1e6), new Int32Array(20))).toBe(20)
    expect(fitTemperature(certain(20, 1e-6), new Int32Array(20))).toBe(0.05)
  })

  it('lowers the calibration error of scores that promise too much', () => {
    const { logits, labels } = drawn(5_000, 3)
    const { temperature, error } = calibrate(logits, labels)
    expect(temperature).toBe(fitTemperature(logits, labels))
    expect(error.before).toBeGreaterThan(0.2)
    expect(error.after).toBeLessThan(0.03)
  })
})
