import { describe, expect, it } from 'vitest'
import { bootstrap, quantile } from '../../src/training/metrics/bootstrap.js'
import { calibrationOf } from '../../src/training/metrics/calibration.js'

const right = Array.from({ length: 400 }, (_, i) => i % 4 !== 0)
const accuracyOf = (times: Int32Array) => ({
  accuracy: times.reduce((sum, count, i) => sum + (right[i] ? count : 0), 0) / right.length,
})

describe('bootstrap intervals', () => {
  it('are close to those of theory, and the same for the same seed', async () => {
    const { accuracy } = await bootstrap(400, 1, accuracyOf)
    // The normal approximation: 0.75 -+ 1.96 sqrt(0.75 * 0.25 / 400).
    expect(accuracy![0]).toBeGreaterThan(0.7)
    expect(accuracy![0]).toBeLessThan(0.715)
    expect(accuracy![1]).toBeGreaterThan(0.785)
    expect(accuracy![1]).toBeLessThan(0.8)
    expect(await bootstrap(400, 1, accuracyOf)).toEqual({ accuracy })
    expect(await bootstrap(400, 2, accuracyOf)).not.toEqual({ accuracy })
  })

  it('come from samples as large as the set', async () => {
    const sizes = new Set<number>()
    await bootstrap(7, 3, (times) => {
      sizes.add(times.reduce((a, b) => a + b))
      return { size: 0 }
    })
    expect([...sizes]).toEqual([7])
  })

  it('leave out samples in which a figure is undefined', async () => {
    // One record of two: half of the samples have the first, a quarter nothing else.
    const figures = (times: Int32Array) => ({
      share: times[0] === 0 ? null : times[0] / 2,
      never: null,
      infinite: times[1] / 0,
    })
    const intervals = await bootstrap(2, 1, figures)
    expect(intervals).toEqual({ share: [0.5, 1], never: null, infinite: null })
  })

  it('lie between values as the quantiles of numpy do', () => {
    const values = [1, 2, 4, 8]
    const quantiles = [0, 0.025, 0.5, 0.975, 1].map((share) => quantile(values, share).toFixed(9))
    expect(quantiles.map(Number)).toEqual([1, 1.075, 3, 7.7, 8])
    expect(quantile([5], 0.975)).toBe(5)
  })
})

describe('calibration', () => {
  it('is the distance of score and accuracy, by records', () => {
    // 0.1 to 0.2: one of two right; 0.9 to 1: three of four.
    const scores = [0.15, 0.2, 0.95, 0.95, 1, 0.91]
    const { error, bins } = calibrationOf(scores, [true, false, true, true, true, false])
    expect(bins).toHaveLength(10)
    expect(bins[1]).toMatchObject({ from: 0.1, to: 0.2, records: 2, accuracy: 0.5 })
    expect(bins[1].score).toBeCloseTo(0.175, 12)
    expect(bins[9]).toMatchObject({ records: 4, accuracy: 0.75 })
    expect(bins[0]).toEqual({ from: 0, to: 0.1, records: 0, score: null, accuracy: null })
    expect(error).toBeCloseTo((2 * (0.5 - 0.175) + 4 * (0.9525 - 0.75)) / 6, 12)
  })

  it('of scores that are always right and certain is perfect', () => {
    expect(calibrationOf([1, 1], [true, true]).error).toBe(0)
    expect(calibrationOf([1, 0], [false, false]).error).toBe(0.5)
  })
})
