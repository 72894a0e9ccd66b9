import { describe, expect, it } from 'vitest'
import { accuracy, argmaxRows, macroF1, matthews, measure, perClass } from '../../src/training/metrics/metrics.js'

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

  it('of each class and their means are those of scikit-learn', () => {
    // precision_recall_fscore_support of the same counts; the third class never occurs, as truth or prediction.
    const { classes, macro, weighted } = perClass([
      [3, 1, 0],
      [2, 6, 0],
      [0, 0, 0],
    ])
    expect(classes[0]).toEqual({ precision: 3 / 5, recall: 3 / 4, f1: 6 / 9, support: 4 })
    expect(classes[1]).toEqual({ precision: 6 / 7, recall: 6 / 8, f1: 12 / 15, support: 8 })
    expect(classes[2]).toEqual({ precision: 0, recall: 0, f1: 0, support: 0 })
    expect(macro.precision).toBeCloseTo((3 / 5 + 6 / 7) / 2, 12)
    expect(macro.recall).toBeCloseTo((3 / 4 + 6 / 8) / 2, 12)
    expect(macro.f1).toBeCloseTo((6 / 9 + 12 / 15) / 2, 12)
    expect(weighted.precision).toBeCloseTo((4 * (3 / 5) + 8 * (6 / 7)) / 12, 12)
    expect(weighted.recall).toBeCloseTo(9 / 12, 12)
    expect(weighted.f1).toBeCloseTo((4 * (6 / 9) + 8 * (12 / 15)) / 12, 12)
  })

  it('of a class that occurs and is never called count as 0 in the mean', () => {
    const { classes, macro } = perClass([
      [2, 0],
      [2, 0],
    ])
    expect(classes[1]).toEqual({ precision: 0, recall: 0, f1: 0, support: 2 })
    expect(macro).toEqual({ precision: 1 / 4, recall: 1 / 2, f1: 1 / 3 })
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
