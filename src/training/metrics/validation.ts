import type { ModelSpec } from '../../spec.js'
import { characterEdits, type EditCounts, errorRate, totalEdits, wordEdits } from '../../text/edit-distance.js'
import type { Data } from '../data/labelled-set.js'
import { countOf, targetOf } from '../data/targets.js'
import type { Evaluated } from '../replica.js'
import type { Regime } from '../settings.js'
import { type Metrics, measure } from './metrics.js'
import { type Calibrated, calibrate } from './temperature.js'

/** How far transcripts are from what was said. */
export interface TextMetrics {
  records: number
  /** Share of records without an error. */
  exact: number
  /** Word and character error rate. */
  wer: number
  cer: number
  words: EditCounts
  characters: EditCounts
}

/** How well the next base is known. */
export interface NextBaseMetrics {
  /** Windows. */
  records: number
  /** Mean over the windows: 2 is a guess. */
  bits_per_base: number
}

/** What a model got right on the validation records, and its mean loss. */
export type Validation = (Metrics | TextMetrics | NextBaseMetrics) & { loss: number }

export function validation(head: ModelSpec['head'], valid: Data, { losses, answers }: Evaluated): Validation {
  const loss = losses.reduce((a, b) => a + b, 0) / losses.length
  if (head?.kind === 'tokens') return { records: losses.length, bits_per_base: loss / Math.LN2, loss }
  const truths = Array.from({ length: countOf(valid) }, (_, i) => targetOf(valid, i))
  if (head?.kind === 'ctc') {
    const text = (tokens: Int32Array) => Array.from(tokens, (token) => head.vocabulary[token]).join('')
    return { ...measureTexts(truths.map((truth, i) => textEdits(text(truth), text(answers[i])))), loss }
  }
  if (head?.kind !== 'classes') throw new Error('no head to validate')
  const first = (answer: Int32Array) => answer[0]
  return { ...measure(truths.map(first), answers.map(first), head.labels.length), loss }
}

/** The temperature of a classifier, from the validation records; null for transcription. */
export function calibrationOn(head: ModelSpec['head'], valid: Data, { logits }: Evaluated): Calibrated | null {
  if (head?.kind !== 'classes') return null
  return calibrate(
    logits,
    Array.from({ length: countOf(valid) }, (_, i) => targetOf(valid, i)[0]),
  )
}

/** How a transcript differs from what was said. */
export interface TextEdits {
  words: EditCounts
  characters: EditCounts
}

/** Texts as they are compared (`normaliseTranscript`). */
export const textEdits = (reference: string, hypothesis: string): TextEdits => ({
  words: wordEdits(reference, hypothesis),
  characters: characterEdits(reference.trim(), hypothesis.trim()),
})

export function measureTexts(texts: readonly TextEdits[]): TextMetrics {
  const words = totalEdits(texts.map((text) => text.words))
  const characters = totalEdits(texts.map((text) => text.characters))
  const exact = texts.filter((text) => errorRate(text.characters) === 0).length / texts.length
  return { records: texts.length, exact, wer: errorRate(words), cer: errorRate(characters), words, characters }
}

/** The figure that is chosen by, higher is better. Errors: a metric of the other kind of model. */
export function scoreOf(validation: Validation, metric: Regime['metric']): number {
  const value = (validation as unknown as Record<string, number>)[metric]
  if (value === undefined) throw new Error(`no metric ${metric} here`)
  return metric === 'loss' || metric === 'wer' || metric === 'cer' ? -value : value
}
