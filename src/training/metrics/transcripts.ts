import { exitCodes, UserError } from '../../errors.js'
import type { Cells } from '../../output/rows.js'
import { normaliseTranscript } from '../../tasks/language/vocabulary.js'
import type { Word } from '../../tasks/language/words.js'
import { editsOf } from '../../text/edit-distance.js'
import type { Entry } from '../data/labels.js'
import { bootstrap, type Interval, level, resamples } from './bootstrap.js'
import { measureTexts, type TextEdits, type TextMetrics, textEdits } from './validation.js'

export interface TextFigures extends TextMetrics {
  /** Recordings in which nothing is said, and how many of them the model wrote nothing for. */
  silent: { records: number; exact: number }
  intervals: Record<'wer' | 'cer', Interval> & { level: number; resamples: number; seed: number }
}

/** What was said in a recording and what was written, as they are compared. */
export interface Transcript extends TextEdits {
  path: string
  reference: string
  hypothesis: string
}

export const transcriptColumns = ['path', 'reference', 'hypothesis', 'errors', 'words']

/** What a model wrote of the recordings of a set. */
export class Transcripts {
  /** Of recordings that are not over. By the line of the table: two of them may have one path. */
  private readonly open = new Map<Entry, string[]>()
  readonly finished: Transcript[] = []

  constructor(private readonly file: string) {}

  /** The next words of a recording; after the last ones, its row of --predictions. */
  add(entry: Entry, words: readonly Word[], last: boolean): Cells | null {
    const written = this.open.get(entry) ?? []
    for (const { text } of words) written.push(text)
    this.open.set(entry, written)
    if (!last) return null
    this.open.delete(entry)
    const reference = normaliseTranscript(entry.label)
    const hypothesis = normaliseTranscript(written.join(' '))
    const edits = textEdits(reference, hypothesis)
    this.finished.push({ path: entry.id, reference, hypothesis, ...edits })
    return [entry.id, reference, hypothesis, editsOf(edits.words), edits.words.length]
  }

  /** Errors: 65 for no recordings. */
  async figures(seed: number, progress?: (done: number) => void): Promise<TextFigures> {
    const { finished } = this
    if (finished.length === 0) throw new UserError(`no recordings for ${this.file}`, exitCodes.data)
    const silent = finished.filter(({ reference }) => reference === '')
    const rate = (kind: keyof TextEdits, times: Int32Array) => {
      let [edits, said] = [0, 0]
      for (const [i, text] of finished.entries()) {
        edits += times[i] * editsOf(text[kind])
        said += times[i] * text[kind].length
      }
      return said === 0 ? null : edits / said
    }
    const figuresOf = (times: Int32Array) => ({ wer: rate('words', times), cer: rate('characters', times) })
    return {
      ...measureTexts(finished),
      silent: { records: silent.length, exact: silent.filter(({ hypothesis }) => hypothesis === '').length },
      intervals: { level, resamples, seed, ...(await bootstrap(finished.length, seed, figuresOf, progress)) },
    }
  }
}
