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

/** How well a class was found; 0 where it is undefined. */
export interface ClassMetrics {
  /** Share of what was called so that is so. */
  precision: number
  /** Share of what is so that was called so. */
  recall: number
  f1: number
}

/** Figures of each class, and their means as in scikit-learn's `classification_report`. */
export interface PerClass {
  /** `support`: the records that are of the class. */
  classes: (ClassMetrics & { support: number })[]
  /** Over the classes that occur as truth or prediction, each counting alike. */
  macro: ClassMetrics
  /** Each class counting by its support. */
  weighted: ClassMetrics
}

/** `times`: how often each record counts, once if absent. */
export function confusionMatrix(
  truth: ArrayLike<number>,
  prediction: ArrayLike<number>,
  classes: number,
  times?: ArrayLike<number>,
): number[][] {
  const counts = Array.from({ length: classes }, () => new Array<number>(classes).fill(0))
  for (let i = 0; i < truth.length; i++) counts[truth[i]][prediction[i]] += times ? times[i] : 1
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
const columnSums = (m: number[][]) =>
  m.reduce(
    (total, row) => total.map((count, k) => count + row[k]),
    m[0].map(() => 0),
  )
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

export const macroF1 = (confusion: number[][]): number => perClass(confusion).macro.f1

export function perClass(confusion: number[][]): PerClass {
  const predictions = columnSums(confusion)
  const share = (part: number, whole: number) => (whole === 0 ? 0 : part / whole)
  const classes = confusion.map((row, k) => {
    const [right, support, called] = [row[k], sum(row), predictions[k]]
    return {
      precision: share(right, called),
      recall: share(right, support),
      f1: share(2 * right, support + called),
      support,
    }
  })
  const mean = (weights: number[]): ClassMetrics => {
    const of = (figure: keyof ClassMetrics) => share(sum(classes.map((c, k) => weights[k] * c[figure])), sum(weights))
    return { precision: of('precision'), recall: of('recall'), f1: of('f1') }
  }
  return {
    classes,
    macro: mean(classes.map(({ support }, k) => (support + predictions[k] > 0 ? 1 : 0))),
    weighted: mean(classes.map(({ support }) => support)),
  }
}

/** The class with the highest score in each row of [S, C]; the first of equals. */
export function argmaxRows(scores: ArrayLike<number>, classes: number): Int32Array {
  const best = new Int32Array(scores.length / classes)
  for (let s = 0; s < best.length; s++) {
    for (let c = 1; c < classes; c++) if (scores[s * classes + c] > scores[s * classes + best[s]]) best[s] = c
  }
  return best
}
