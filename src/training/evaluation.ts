import { columns } from '../output/columns.js'
import { exitCodes, UserError } from '../shell/errors.js'
import { normaliseTranscript } from '../tasks/vocabulary.js'
import type { Word } from '../tasks/words.js'
import type { EditCounts } from '../text/edit-distance.js'
import type { LabelTable } from './labels.js'
import { type Metrics, measure } from './metrics.js'
import { measureTexts, type TextMetrics } from './validation.js'

/** What a model called the records of a labelled set. */
export class Calls {
  private readonly truth: number[] = []
  private readonly called: number[] = []

  constructor(
    private readonly labels: LabelTable,
    readonly classes: string[],
  ) {}

  /** Errors: 65 for a record without a label, or with one that the model does not know. */
  add(record: { id: string; file: string; line: number }, called: number): void {
    this.truth.push(this.labels.classOf(record, this.classes))
    this.called.push(called)
  }

  metrics(): Metrics {
    if (this.truth.length === 0) throw new UserError(`no records for ${this.labels.file}`, exitCodes.data)
    return measure(this.truth, this.called, this.classes.length)
  }
}

/** For people: the figures, then the truth (rows) against what was called (columns). */
export function metricsTable({ records, accuracy, mcc, macro_f1, confusion }: Metrics, classes: string[]): string {
  const figures = columns([
    ['records', records],
    ['accuracy', accuracy.toFixed(4)],
    ['MCC', mcc.toFixed(4)],
    ['macro F1', macro_f1.toFixed(4)],
  ])
  const matrix = columns([['truth \\ called', ...classes], ...classes.map((name, c) => [name, ...confusion[c]])])
  return `${figures}\n${matrix}`
}

/** What a model wrote of the recordings of a set. */
export class Transcripts {
  private readonly written = new Map<string, string[]>()

  constructor(private readonly texts: LabelTable) {}

  /** The next words of a recording. */
  add(id: string, words: readonly Word[]): void {
    const before = this.written.get(id)
    if (before) before.push(...words.map(({ text }) => text))
    else
      this.written.set(
        id,
        words.map(({ text }) => text),
      )
  }

  metrics(): TextMetrics {
    if (this.written.size === 0) throw new UserError(`no recordings for ${this.texts.file}`, exitCodes.data)
    const references = [...this.written.keys()].map((id) => normaliseTranscript(this.texts.labelOf(id)))
    return measureTexts(
      references,
      [...this.written.values()].map((words) => normaliseTranscript(words.join(' '))),
    )
  }
}

/** For people: error rates and what they are made of. */
export function transcriptsTable({ records, exact, wer, cer, words, characters }: TextMetrics): string {
  const row = (name: string, rate: number, { length, substitutions, deletions, insertions }: EditCounts) => [
    name,
    rate.toFixed(4),
    length,
    substitutions,
    deletions,
    insertions,
  ]
  const rates = columns([
    ['', 'error rate', 'said', 'substituted', 'deleted', 'inserted'],
    row('words', wer, words),
    row('characters', cer, characters),
  ])
  const whole = columns([
    ['records', records],
    ['without an error', exact.toFixed(4)],
  ])
  return `${whole}\n${rates}`
}
