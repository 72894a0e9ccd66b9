import { exitCodes, UserError } from '../../errors.js'
import type { ClassesHead } from '../../spec.js'
import type { Classification } from '../../tasks/classify.js'
import type { Entry, LabelTable } from '../data/labels.js'
import { bootstrap, type Interval, level, resamples } from './bootstrap.js'
import { type Calibration, calibrationOf } from './calibration.js'
import {
  accuracy,
  type ClassMetrics,
  confusionMatrix,
  type Metrics,
  macroF1,
  matthews,
  measure,
  perClass,
} from './metrics.js'
import { Ranking } from './ranking.js'
import { fitTemperature } from './temperature.js'

export interface ClassFigures extends Metrics {
  labels: string[]
  /** Of several classes with the areas of each against the rest; null where they are undefined. */
  classes: (ClassMetrics & { label: string; support: number; auroc?: number | null; auprc?: number | null })[]
  macro: ClassMetrics
  weighted: ClassMetrics
  /** Of two classes the second, as in scikit-learn: its areas are those of the model. */
  positive?: string
  /** Of several classes the means over those that have them. */
  auroc: number | null
  auprc: number | null
  calibration: Calibration & {
    /** Mean of -ln of the probability of the true class. */
    log_loss: number
    /** The one of the head that would suit these records best. */
    temperature: number
  }
  intervals: Record<'accuracy' | 'mcc' | 'macro_f1' | 'auroc', Interval> & {
    level: number
    resamples: number
    seed: number
  }
}

/** What a model called the records of a labelled set. */
export class Calls {
  private readonly truth: number[] = []
  private readonly called: number[] = []
  /** [records, classes], with room for more. */
  private probabilities = new Float64Array(1024)
  private ranked: Ranking[] | null = null

  constructor(
    private readonly table: LabelTable,
    private readonly head: ClassesHead,
  ) {}

  get labels(): string[] {
    return this.head.labels
  }

  /** A record and what it was called. Errors: 65 for a label that the model does not know. */
  add(entry: Entry, { best, probabilities }: Classification): void {
    const { labels } = this
    const truth = this.table.classOf(entry, labels)
    const from = this.truth.length * labels.length
    if (from + labels.length > this.probabilities.length) {
      const larger = new Float64Array(2 * (from + labels.length))
      larger.set(this.probabilities)
      this.probabilities = larger
    }
    this.probabilities.set(probabilities, from)
    this.truth.push(truth)
    this.called.push(best)
  }

  /** For each class, or of two for the second alone: the records by their probability of it. */
  get rankings(): { label: string; ranking: Ranking }[] {
    const { labels, truth } = this
    const first = labels.length === 2 ? 1 : 0
    this.ranked ??= labels.slice(first).map((_, i) => {
      const scores = Float64Array.from(truth, (_, r) => this.probability(r, first + i))
      return new Ranking(
        scores,
        Uint8Array.from(truth, (t) => Number(t === first + i)),
      )
    })
    return this.ranked.map((ranking, i) => ({ label: labels[first + i], ranking }))
  }

  /** Errors: 65 for no records. */
  async figures(seed: number, progress?: (done: number) => void): Promise<ClassFigures> {
    const { labels, truth, called, rankings } = this
    if (truth.length === 0) throw new UserError(`no records for ${this.table.file}`, exitCodes.data)
    const two = labels.length === 2
    const metrics = measure(truth, called, labels.length)
    const { classes, macro, weighted } = perClass(metrics.confusion)
    const areas = rankings.map(({ ranking }) => ({ auroc: ranking.auroc(), auprc: ranking.averagePrecision() }))
    const figuresOf = (times: Int32Array) => {
      const confusion = confusionMatrix(truth, called, labels.length, times)
      const auroc = meanOf(rankings.map(({ ranking }) => ranking.auroc(times)))
      return { accuracy: accuracy(confusion), mcc: matthews(confusion), macro_f1: macroF1(confusion), auroc }
    }
    return {
      labels,
      ...metrics,
      classes: classes.map((figures, k) => ({ label: labels[k], ...figures, ...(two ? {} : areas[k]) })),
      macro,
      weighted,
      ...(two ? { positive: labels[1] } : {}),
      auroc: meanOf(areas.map((area) => area.auroc)),
      auprc: meanOf(areas.map((area) => area.auprc)),
      calibration: this.calibration(),
      intervals: { level, resamples, seed, ...(await bootstrap(truth.length, seed, figuresOf, progress)) },
    }
  }

  private calibration(): ClassFigures['calibration'] {
    const { truth, called, labels } = this
    const { temperature = 1 } = this.head
    const { error, bins } = calibrationOf(
      Float64Array.from(called, (c, r) => this.probability(r, c)),
      truth.map((t, r) => t === called[r]),
    )
    // Divided logits, but for a number of each record. A probability that is 0 only because it is too small has a logarithm, too.
    const logP = this.probabilities
      .subarray(0, truth.length * labels.length)
      .map((p) => Math.log(Math.max(p, Number.MIN_VALUE)))
    return {
      error,
      log_loss: -truth.reduce((sum, t, r) => sum + logP[r * labels.length + t], 0) / truth.length,
      temperature: fitTemperature(
        logP.map((x) => x * temperature),
        truth,
      ),
      bins,
    }
  }

  private probability(record: number, label: number): number {
    return this.probabilities[record * this.labels.length + label]
  }
}

/** Of those that are defined; null where none is. */
function meanOf(values: (number | null)[]): number | null {
  const defined = values.filter((value) => value !== null)
  return defined.length === 0 ? null : defined.reduce((a, b) => a + b) / defined.length
}
