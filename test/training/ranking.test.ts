import { describe, expect, it } from 'vitest'
import { Random } from '../../src/runtime/random.js'
import { Ranking } from '../../src/training/metrics/ranking.js'

const ranking = (truth: number[], scores: number[]) => new Ranking(Float64Array.from(scores), Uint8Array.from(truth))

/** Ten records with ties within a class and across both. */
const truth = [0, 1, 1, 0, 1, 0, 1, 0, 0, 1]
const scores = [0.1, 0.4, 0.35, 0.8, 0.8, 0.4, 0.9, 0.1, 0.35, 0.4]

describe('a ranking', () => {
  it('has the areas that scikit-learn gives', () => {
    // roc_auc_score and average_precision_score (1.8), the first case being that of their documentation.
    const documented = ranking([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    expect(documented.auroc()).toBeCloseTo(0.75, 12)
    expect(documented.averagePrecision()).toBeCloseTo(0.8333333333333333, 12)
    const tied = ranking(truth, scores)
    expect(tied.auroc()).toBeCloseTo(0.76, 12)
    expect(tied.averagePrecision()).toBeCloseTo(0.725, 12)
  })

  it('counts pairs, ties half, whatever the order of the records', () => {
    const random = new Random(5)
    for (let round = 0; round < 20; round++) {
      const count = 2 + random.int(30)
      const drawn = Array.from({ length: count }, () => [random.int(2), random.int(6) / 6] as const)
      let [higher, pairs] = [0, 0]
      for (const [a, x] of drawn)
        for (const [b, y] of drawn)
          if (a === 1 && b === 0) {
            pairs++
            higher += x > y ? 1 : x === y ? 0.5 : 0
          }
      const measured = ranking(
        drawn.map(([a]) => a),
        drawn.map(([, x]) => x),
      ).auroc()
      if (pairs === 0) expect(measured).toBeNull()
      else expect(measured).toBeCloseTo(higher / pairs, 12)
    }
  })

  it('of records that count several times is that of the records repeated', () => {
    const times = Int32Array.of(2, 0, 1, 3, 1, 0, 0, 1, 2, 1)
    const repeated = [...times].flatMap((count, i) => new Array<number>(count).fill(i))
    const copy = ranking(
      repeated.map((i) => truth[i]),
      repeated.map((i) => scores[i]),
    )
    expect(ranking(truth, scores).auroc(times)).toBeCloseTo(copy.auroc()!, 12)
  })

  it('is undefined where one side is missing, and 1, 0 or a half at the ends', () => {
    expect(ranking([1, 1], [0.1, 0.2]).auroc()).toBeNull()
    expect(ranking([0, 0], [0.1, 0.2]).auroc()).toBeNull()
    expect(ranking([0, 0], [0.1, 0.2]).averagePrecision()).toBeNull()
    expect(ranking([1, 1], [0.1, 0.2]).averagePrecision()).toBe(1)
    expect(ranking([0, 1], [0.1, 0.2]).auroc()).toBe(1)
    expect(ranking([1, 0], [0.1, 0.2]).auroc()).toBe(0)
    expect(ranking([1, 0, 1, 0], [0.5, 0.5, 0.5, 0.5]).auroc()).toBe(0.5)
  })

  it('has the curves that scikit-learn gives', () => {
    // roc_curve(drop_intermediate=False) and precision_recall_curve, which ends with a point of its own.
    const tied = ranking(truth, scores)
    expect(tied.roc().map((point) => point.map((x) => Number(x.toFixed(10))))).toEqual([
      [0, 0],
      [0, 0.2],
      [0.2, 0.4],
      [0.4, 0.8],
      [0.6, 1],
      [1, 1],
    ])
    const expected = [
      [0.2, 1],
      [0.4, 2 / 3],
      [0.8, 2 / 3],
      [1, 0.625],
      [1, 0.5],
    ]
    for (const [i, [recall, precision]] of tied.precisionRecall().entries()) {
      expect(recall).toBeCloseTo(expected[i][0], 12)
      expect(precision).toBeCloseTo(expected[i][1], 12)
    }
  })
})
