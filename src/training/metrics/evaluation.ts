import { exitCodes, UserError } from '../../errors.js'
import { columns } from '../../output/columns.js'
import { normaliseTranscript } from '../../tasks/language/vocabulary.js'
import type { Word } from '../../tasks/language/words.js'
import type { EditCounts } from '../../text/edit-distance.js'
import type { Entry, LabelTable } from '../data/labels.js'
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

  /** A record, and the class that it was called. Errors: 65 for a label that the model does not know. */
  add(entry: Entry, called: number): void {
    this.truth.push(this.labels.classOf(entry, this.classes))
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
  /** By the line of the table, not by the text of a path: no two recordings run together. */
  private readonly written = new Map<Entry, string[]>()

  constructor(private readonly file: string) {}

  /** The next words of a recording. */
  add(entry: Entry, words: readonly Word[]): void {
    const before = this.written.get(entry)
    const texts = words.map(({ text }) => text)
    if (before) for (const text of texts) before.push(text)
    else this.written.set(entry, texts)
  }

  metrics(): TextMetrics {
    if (this.written.size === 0) throw new UserError(`no recordings for ${this.file}`, exitCodes.data)
    return measureTexts(
      [...this.written.keys()].map(({ label }) => normaliseTranscript(label)),
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
