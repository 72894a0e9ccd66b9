/** Records whose score lies in one tenth of the scale. */
export interface Bin {
  from: number
  to: number
  records: number
  /** Mean score, and the share of records called right; null in an empty bin. */
  score: number | null
  accuracy: number | null
}

/** Whether scores are the probabilities that they claim to be. */
export interface Calibration {
  /** Expected calibration error: the mean distance of score and accuracy over the bins, by records (Guo et al. 2017). */
  error: number
  bins: Bin[]
}

const binCount = 10

/** `scores`: of the class that was called; `right`: whether it is the true one. A border belongs to the bin below it. */
export function calibrationOf(scores: ArrayLike<number>, right: ArrayLike<boolean>): Calibration {
  const sums = Array.from({ length: binCount }, () => ({ records: 0, score: 0, right: 0 }))
  for (let i = 0; i < scores.length; i++) {
    const bin = sums[Math.max(0, Math.ceil(scores[i] * binCount) - 1)]
    bin.records++
    bin.score += scores[i]
    if (right[i]) bin.right++
  }
  const distance = sums.reduce((sum, { score, right }) => sum + Math.abs(score - right), 0)
  return {
    error: scores.length === 0 ? 0 : distance / scores.length,
    bins: sums.map(({ records, score, right }, i) => ({
      from: i / binCount,
      to: (i + 1) / binCount,
      records,
      score: records === 0 ? null : score / records,
      accuracy: records === 0 ? null : right / records,
    })),
  }
}
