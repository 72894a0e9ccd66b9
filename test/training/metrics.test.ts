import { describe, expect, it } from 'vitest'
import { accuracy, argmaxRows, macroF1, matthews, measure } from '../../src/training/metrics/metrics.js'

describe('metrics', () => {
  it('agree with figures computed by hand', () => {
    // Two classes: TP 6, TN 3, FP 1, FN 2 -> MCC = (6*3 - 1*2) / sqrt(7 * 8 * 4 * 5).
    const two = [
      [3, 1],
      [2, 6],
    ]
    expect(accuracy(two)).toBeCloseTo(9 / 12, 12)
    expect(matthews(two)).toBeCloseTo(16 / Math.sqrt(7 * 8 * 4 * 5), 12)
    expect(macroF1(two)).toBeCloseTo((6 / 9 + 12 / 15) / 2, 12)
    // Three classes: c = 7, s = 10, truths 4 3 3, predictions 4 4 2.
    const three = [
      [3, 1, 0],
      [1, 2, 0],
      [0, 1, 2],
    ]
    expect(matthews(three)).toBeCloseTo((7 * 10 - (16 + 12 + 6)) / Math.sqrt((100 - 36) * (100 - 34)), 12)
  })

  it('say 0 where they are undefined', () => {
    expect(
      matthews([
        [5, 0],
        [5, 0],
      ]),
    ).toBe(0)
    expect(
      matthews([
        [5, 0],
        [0, 0],
      ]),
    ).toBe(0)
    expect(measure([], [], 2)).toMatchObject({ records: 0, accuracy: 0, mcc: 0, macro_f1: 0 })
  })

  it('leave a class that never occurs out of the macro F1', () => {
    expect(
      macroF1([
        [2, 0, 0],
        [0, 2, 0],
        [0, 0, 0],
      ]),
    ).toBe(1)
    expect(
      macroF1([
        [2, 0, 0],
        [0, 1, 1],
        [0, 0, 0],
      ]),
    ).toBeCloseTo((1 + 2 / 3 + 0) / 3, 12)
  })

  it('count truth in rows and predictions in columns', () => {
    expect(measure([0, 0, 1, 2], [0, 2, 1, 2], 3).confusion).toEqual([
      [1, 0, 1],
      [0, 1, 0],
      [0, 0, 1],
    ])
    expect([...argmaxRows([0.1, 0.9, 0.5, 0.5], 2)]).toEqual([1, 0])
  })
})
