/** What a classifier got right and wrong on labelled records. */
export interface Metrics {
  records: number
  accuracy: number
  /** Matthews correlation, for several classes as Gorodkin's R_K (2004); 0 where it is undefined. */
  mcc: number
  /** Mean F1 over the classes that occur as truth or prediction, as in scikit-learn. */
  macro_f1: number
  /** [truth][prediction] counts. */
  confusion: number[][]
}

export function confusionMatrix(truth: ArrayLike<number>, prediction: ArrayLike<number>, classes: number): number[][] {
  const counts = Array.from({ length: classes }, () => new Array<number>(classes).fill(0))
  for (let i = 0; i < truth.length; i++) counts[truth[i]][prediction[i]]++
  return counts
}

export function measure(truth: ArrayLike<number>, prediction: ArrayLike<number>, classes: number): Metrics {
  const confusion = confusionMatrix(truth, prediction, classes)
  return {
    records: truth.length,
    accuracy: accuracy(confusion),
    mcc: matthews(confusion),
    macro_f1: macroF1(confusion),
    confusion,
  }
}

const sum = (xs: number[]) => xs.reduce((a, b) => a + b, 0)
const columnSums = (m: number[][]) => m.map((_, k) => sum(m.map((row) => row[k])))
const diagonal = (m: number[][]) => m.map((row, k) => row[k])

export function accuracy(confusion: number[][]): number {
  const records = sum(confusion.map(sum))
  return records === 0 ? 0 : sum(diagonal(confusion)) / records
}

export function matthews(confusion: number[][]): number {
  const truths = confusion.map(sum)
  const predictions = columnSums(confusion)
  const records = sum(truths)
  const right = sum(diagonal(confusion))
  const product = (a: number[], b: number[]) => sum(a.map((x, k) => x * b[k]))
  const spread = (records ** 2 - product(predictions, predictions)) * (records ** 2 - product(truths, truths))
  return spread === 0 ? 0 : (right * records - product(truths, predictions)) / Math.sqrt(spread)
}

export function macroF1(confusion: number[][]): number {
  const truths = confusion.map(sum)
  const predictions = columnSums(confusion)
  const scores = diagonal(confusion)
    .map((right, k) => (2 * right) / (truths[k] + predictions[k]))
    .filter((score) => !Number.isNaN(score))
  return scores.length === 0 ? 0 : sum(scores) / scores.length
}

/** The class with the highest score in each row of [S, C]; the first of equals. */
export function argmaxRows(scores: ArrayLike<number>, classes: number): Int32Array {
  const best = new Int32Array(scores.length / classes)
  for (let s = 0; s < best.length; s++) {
    for (let c = 1; c < classes; c++) if (scores[s * classes + c] > scores[s * classes + best[s]]) best[s] = c
  }
  return best
}
