import { at, chart, curve, legend, type Point, type Series } from '../../output/report/chart.js'
import { confusionTable } from '../../output/report/confusion.js'
import { html, type Markup } from '../../output/report/markup.js'
import { figure, folded, type PageHead, pageText, section, table, tiles } from '../../output/report/page.js'
import type { ModelSpec } from '../../spec.js'
import type { EpochLine, History, StepLine } from '../history.js'
import type { Validation } from '../metrics/validation.js'
import type { TrainSettings } from '../settings.js'

export interface TrainingReport {
  history: History
  spec: ModelSpec
  settings: TrainSettings
  /** Steps of the whole run, and the one whose weights were kept. */
  steps: number
  best: { step: number; score: number } | null
}

/** Points of a curve through all steps. */
const mostPoints = 400
const wide = { width: 960, height: 300 }

/** The report on a training run. */
export function trainingPage(head: PageHead, report: TrainingReport): string {
  const validated = report.history.epochs.filter(({ valid }) => valid !== undefined)
  const kept = validated.find(({ step }) => step === report.best?.step)
  const sections = [
    headline(report, kept),
    losses(report, validated),
    metrics(report, validated),
    confusion(report, kept),
    steps(report),
    settingsOf(report),
  ]
  return pageText({ ...head, sections })
}

function headline({ history, settings, steps, best }: TrainingReport, kept: EpochLine | undefined): Markup {
  const last = history.epochs.at(-1)!
  const all: [string, string, string][] = [['Steps', String(steps), `${last.epoch} epochs`]]
  if (best && kept)
    all.push([`Validation ${names[settings.metric]}`, Math.abs(best.score).toFixed(4), `epoch ${kept.epoch}`])
  if (kept?.valid && settings.metric !== 'loss')
    all.push(['Validation loss', kept.valid.loss.toFixed(4), `epoch ${kept.epoch}`])
  all.push(['Training loss', last.train_loss.toFixed(4), `epoch ${last.epoch}`])
  all.push(['Training accuracy', last.train_accuracy.toFixed(4), `epoch ${last.epoch}`])
  return tiles(all, kept ? `The weights after epoch ${kept.epoch} were kept.` : 'The last weights were kept.')
}

function losses(report: TrainingReport, validated: EpochLine[]): Markup {
  const { history } = report
  const all: Series[] = [
    { name: 'training, every 20 steps', points: averaged(history.steps, 'loss'), colour: 0, faint: true },
    { name: 'training, mean of the epoch', points: history.epochs.map((e) => [e.step, e.train_loss]), colour: 0 },
    { name: 'validation', points: validated.map((e) => [e.step, e.valid!.loss]), colour: 1, dash: '7 4' },
  ]
  return section(
    'Loss',
    'Where the loss of the validation rises while that of the training falls, the model learns its records by heart.',
    lines(all, 'loss', 0, report),
  )
}

function metrics(report: TrainingReport, validated: EpochLine[]): Markup | null {
  if (validated.length === 0) return null
  const figures = Object.entries(names).filter(([key]) => key !== 'loss' && key in validated[0].valid!)
  const dashes = [undefined, '7 4', '2 3']
  const all = figures.map(([key, name], i) => ({
    name,
    points: validated.map(({ step, valid }): Point => [step, figureOf(valid!, key)]),
    colour: i,
    dash: dashes[i],
  }))
  const low = lowest(all.flatMap(({ points }) => points))
  return section('Validation', 'How well the model does on the validation records.', lines(all, '', low, report))
}

/** Figures of a validation, as people write them. */
const names = {
  mcc: 'MCC',
  accuracy: 'accuracy',
  macro_f1: 'macro F1',
  wer: 'WER',
  cer: 'CER',
  bits_per_base: 'bits per base',
  loss: 'loss',
}

const figureOf = (valid: Validation, name: string) => (valid as unknown as Record<string, number>)[name]

function confusion({ spec: { head } }: TrainingReport, kept: EpochLine | undefined): Markup | null {
  if (head?.kind !== 'classes' || !kept?.valid || !('confusion' in kept.valid)) return null
  const note = `Validation records by their true label (rows) and by what they were called (columns), after epoch ${kept.epoch}. The stronger a cell, the larger its share of the row.`
  return section('Confusion matrix', note, confusionTable(head.labels, kept.valid.confusion))
}

function steps({ history, steps }: TrainingReport): Markup | null {
  if (history.steps.length < 2) return null
  const of = (key: keyof StepLine, name: string) => {
    const points = averaged(history.steps, key)
    const frame = { width: 450, height: 220, ...axes(points, name, 0, steps), label: `${name} by step` }
    return figure(
      chart(frame, (x, y) => curve({ name, points, colour: 0 }, x, y)),
      null,
    )
  }
  const drawn = [of('lr', 'learning rate'), of('gradient_norm', 'norm of the gradient')]
  return section('Steps', 'How large the steps were.', html`<div class="beside">${drawn}</div>`)
}

function settingsOf({ settings }: TrainingReport): Markup {
  const rows = Object.entries(settings)
  const columns = [
    { title: 'setting', cell: ([name]: [string, unknown]) => name },
    { title: 'value', cell: ([, value]: [string, unknown]) => JSON.stringify(value), text: true },
  ]
  return section('Settings', 'Of architecture and training.', folded('All settings', table(columns, rows)))
}

/** Lines over the steps, from `low` up, with a mark at the weights that were kept. */
function lines(all: readonly Series[], title: string, low: number, { steps, best }: TrainingReport): Markup {
  const drawn = all.filter(({ points }) => points.length > 0)
  const ends = drawn.map(({ name, points }) => `${name} ${points[0][1].toFixed(3)} to ${points.at(-1)![1].toFixed(3)}`)
  const places = axes(
    drawn.flatMap(({ points }) => points),
    title,
    low,
    steps,
  )
  const drawing = chart({ ...wide, ...places, label: ends.join('; ') }, (x, y) => {
    const [bottom, top] = y.range()
    const mark =
      best &&
      html`<path class="ideal" d="M${at(x, best.step)} ${bottom}V${top}"/><text x="${at(x, best.step)}" y="${bottom}" dx="-6" dy="-.6em" text-anchor="end">kept</text>`
    return [mark, drawn.map((series) => [curve(series, x, y), series.faint ? null : dots(series, x, y)])]
  })
  return figure(html`${legend(drawn)}${drawing}`, null)
}

/** Few points are shown each. */
function dots({ points, colour }: Series, x: (v: number) => number, y: (v: number) => number): Markup | null {
  if (points.length > 60) return null
  return html`${points.map(([step, value]) => html`<circle cx="${at(x, step)}" cy="${at(y, value)}" r="2.5" style="fill:var(--c${colour})"/>`)}`
}

function axes(points: readonly Point[], title: string, low: number, steps: number) {
  const high = points.reduce((most, [, value]) => Math.max(most, value), low)
  const y = { from: low, to: high > low ? high : low + 1, title }
  return { x: { from: 0, to: steps, title: 'step', ticks: 6 }, y }
}

const lowest = (points: readonly Point[]) => points.reduce((least, [, value]) => Math.min(least, value), Infinity)

/** A figure of the steps, means over neighbours where there are more than a drawing can show. */
function averaged(lines: readonly StepLine[], key: keyof StepLine): Point[] {
  const each = Math.ceil(lines.length / mostPoints)
  return Array.from({ length: Math.ceil(lines.length / each) || 0 }, (_, i) => {
    const some = lines.slice(i * each, (i + 1) * each)
    const mean = (of: keyof StepLine) => some.reduce((sum, line) => sum + line[of], 0) / some.length
    return [mean('step'), mean(key)]
  })
}
