import { columns } from '../../output/columns.js'
import type { EditCounts } from '../../text/edit-distance.js'
import type { Interval } from './bootstrap.js'
import type { ClassFigures } from './calls.js'
import type { TextFigures } from './transcripts.js'

/** Four digits after the point; `-` where a figure is undefined. */
export const shown = (value: number | null | undefined): string =>
  value === null || value === undefined || !Number.isFinite(value) ? '-' : value.toFixed(4)

export const shownInterval = (interval: Interval): string =>
  interval === null ? '-' : `${interval[0].toFixed(4)} to ${interval[1].toFixed(4)}`

/** For people: the figures, those of each class, and the truth (rows) against what was called (columns). */
export function classTables(figures: ClassFigures): string {
  const { labels, classes, macro, weighted, intervals, confusion, positive } = figures
  const of = positive === undefined ? 'macro ' : ''
  const whole = columns([
    ['', '', '95 % interval'],
    ['records', String(figures.records)],
    ['accuracy', shown(figures.accuracy), shownInterval(intervals.accuracy)],
    ['MCC', shown(figures.mcc), shownInterval(intervals.mcc)],
    ['macro F1', shown(figures.macro_f1), shownInterval(intervals.macro_f1)],
    [`${of}AUROC`, shown(figures.auroc), shownInterval(intervals.auroc)],
    [`${of}AUPRC`, shown(figures.auprc)],
    ['calibration error', shown(figures.calibration.error)],
    ['log loss', shown(figures.calibration.log_loss)],
  ])
  const areas = positive === undefined
  const rates = ({ precision, recall, f1 }: typeof macro) => [precision, recall, f1].map(shown)
  const each = columns([
    ['label', 'precision', 'recall', 'F1', ...(areas ? ['AUROC', 'AUPRC'] : []), 'records'],
    ...classes.map((c) => [c.label, ...rates(c), ...(areas ? [shown(c.auroc), shown(c.auprc)] : []), c.support]),
    ['macro', ...rates(macro)],
    ['weighted', ...rates(weighted)],
  ])
  const matrix = columns([['truth \\ called', ...labels], ...labels.map((name, c) => [name, ...confusion[c]])])
  return `${whole}\n${each}\n${matrix}`
}

/** For people: error rates and what they are made of. */
export function textTables({ records, exact, silent, wer, cer, words, characters, intervals }: TextFigures): string {
  const row = (name: string, rate: number, interval: Interval, counts: EditCounts) => [
    name,
    shown(rate),
    shownInterval(interval),
    counts.length,
    counts.substitutions,
    counts.deletions,
    counts.insertions,
  ]
  const rates = columns([
    ['', 'error rate', '95 % interval', 'said', 'substituted', 'deleted', 'inserted'],
    row('words', wer, intervals.wer, words),
    row('characters', cer, intervals.cer, characters),
  ])
  const whole = columns([
    ['records', records],
    ['without an error', shown(exact)],
    ...(silent.records === 0 ? [] : [['in silence', `${silent.exact} of ${silent.records} without a word`]]),
  ])
  return `${whole}\n${rates}`
}
