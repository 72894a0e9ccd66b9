/** A point of a curve, both coordinates from 0 to 1. */
export type Point = readonly [x: number, y: number]

/**
 * Records by their score for one class, highest first, against whether they are of that class: what does not depend on
 * a threshold. Records of equal scores are called so together, at one threshold.
 */
export class Ranking {
  /** Records, highest score first. */
  private readonly order: Int32Array
  /** [records] 1: the record at this place of the order has the last of several equal scores. */
  private readonly ends: Uint8Array

  constructor(
    scores: Float64Array,
    /** [records] 1: it is of the class. */
    private readonly positive: Uint8Array,
  ) {
    const count = scores.length
    this.order = Int32Array.from({ length: count }, (_, i) => i).sort((a, b) => scores[b] - scores[a])
    this.ends = Uint8Array.from(this.order, (i, at) =>
      at + 1 === count || scores[this.order[at + 1]] !== scores[i] ? 1 : 0,
    )
  }

  /**
   * The probability that a record of the class scores higher than another one, ties counting half; null where all or
   * none are of the class. `times`: how often each record counts, once if absent.
   */
  auroc(times?: ArrayLike<number>): number | null {
    let higher = 0 // pairs
    let [above, aboveOthers] = [0, 0]
    this.thresholds(times, (positives, others) => {
      const [here, othersHere] = [positives - above, others - aboveOthers]
      higher += othersHere * (above + here / 2)
      above = positives
      aboveOthers = others
    })
    const pairs = above * aboveOthers
    return pairs === 0 ? null : higher / pairs
  }

  /**
   * Average precision as in scikit-learn, the area under the steps of precision over recall, without interpolation; null
   * where none are of the class.
   */
  averagePrecision(): number | null {
    let area = 0
    let above = 0
    this.thresholds(undefined, (positives, others) => {
      if (positives > above) area += ((positives - above) * positives) / (positives + others)
      above = positives
    })
    return above === 0 ? null : area / above
  }

  /** False positive rate against true positive rate, from (0, 0) to (1, 1), at every threshold. */
  roc(): Point[] {
    const counts = this.counts()
    const [positives, others] = counts[counts.length - 1]
    return counts.map(([p, o]) => [others === 0 ? 0 : o / others, positives === 0 ? 0 : p / positives])
  }

  /** Recall against precision at every threshold, the highest first. */
  precisionRecall(): Point[] {
    const counts = this.counts()
    const [positives] = counts[counts.length - 1]
    return counts.slice(1).map(([p, o]) => [positives === 0 ? 0 : p / positives, p / (p + o)])
  }

  private counts(): Point[] {
    const counts: Point[] = [[0, 0]]
    this.thresholds(undefined, (positives, others) => counts.push([positives, others]))
    return counts
  }

  /** Gives how many records of the class, and how many others, have at least the score of each threshold. */
  private thresholds(times: ArrayLike<number> | undefined, take: (positives: number, others: number) => void): void {
    const { order, ends, positive } = this
    let [positives, others] = [0, 0]
    for (let at = 0; at < order.length; at++) {
      const record = order[at]
      const count = times ? times[record] : 1
      if (positive[record]) positives += count
      else others += count
      if (ends[at]) take(positives, others)
    }
  }
}
