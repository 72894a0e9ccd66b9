/** A point of a curve, both coordinates from 0 to 1. */
export type Point = readonly [x: number, y: number]

/**
 * Records by their score for one class, highest first, against whether they are of that class: what does not depend on
 * a threshold. Records of equal scores are called so together, at one threshold.
 */
export class Ranking {
  /** Records, highest score first. */
  private readonly order: Int32Array
  /** [records] in this order. 1: the record is of the class. */
  private readonly positive: Uint8Array
  /** [records] in this order. 1: the next record has another score, or there is none. */
  private readonly ends: Uint8Array

  /** `positive` [records]: 1 for a record of the class. */
  constructor(scores: Float64Array, positive: Uint8Array) {
    const { length } = scores
    this.order = Int32Array.from({ length }, (_, i) => i).sort((a, b) => scores[b] - scores[a])
    this.positive = Uint8Array.from(this.order, (record) => positive[record])
    this.ends = Uint8Array.from(this.order, (record, at) =>
      at + 1 === length || scores[this.order[at + 1]] !== scores[record] ? 1 : 0,
    )
  }

  /**
   * The probability that a record of the class scores higher than another one, ties counting half; null where all or
   * none are of the class. `times`: how often each record counts, once if absent.
   */
  auroc(times?: Int32Array): number | null {
    const { order, positive, ends } = this
    let higher = 0 // pairs
    let [above, aboveOthers] = [0, 0]
    let [here, othersHere] = [0, 0] // at one threshold
    for (let at = 0; at < order.length; at++) {
      const count = times ? times[order[at]] : 1
      if (positive[at]) here += count
      else othersHere += count
      if (!ends[at]) continue
      higher += othersHere * (above + here / 2)
      above += here
      aboveOthers += othersHere
      here = othersHere = 0
    }
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
    this.thresholds((positives, others) => {
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
    this.thresholds((positives, others) => counts.push([positives, others]))
    return counts
  }

  /** Gives how many records of the class, and how many others, have at least the score of each threshold. */
  private thresholds(take: (positives: number, others: number) => void): void {
    let [positives, others] = [0, 0]
    for (const [at, positive] of this.positive.entries()) {
      if (positive) positives++
      else others++
      if (this.ends[at]) take(positives, others)
    }
  }
}
