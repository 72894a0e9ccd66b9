import { chart, curve, type Point, thinned } from '../../output/report/chart.js'
import { confusionTable } from '../../output/report/confusion.js'
import { html, type Markup } from '../../output/report/markup.js'
import { type Column, figure, type PageHead, pageText, section, table, tiles } from '../../output/report/page.js'
import { reliabilityPlot } from '../../output/report/reliability.js'
import type { Calls, ClassFigures } from '../metrics/calls.js'
import { shown } from '../metrics/tables.js'
import { between, intervalNote } from './between.js'

/** Classes whose curves are drawn. */
const mostCurves = 12
/** Finer than a pixel of the curves. */
const step = 1 / 300

/** The report on a classifier. */
export function classPage(head: PageHead, figures: ClassFigures, rankings: Calls['rankings']): string {
  return pageText({
    ...head,
    sections: [headline(figures), confusion(figures), perClass(figures), reliability(figures), curves(rankings)],
  })
}

function headline(figures: ClassFigures): Markup {
  const { records, accuracy, mcc, macro_f1, auroc, auprc, calibration, intervals, positive } = figures
  const of = positive === undefined ? 'mean over labels' : html`of ${positive}`
  const all = [
    ['Accuracy', shown(accuracy), between(intervals.accuracy)],
    ['MCC', shown(mcc), between(intervals.mcc)],
    ['Macro F1', shown(macro_f1), between(intervals.macro_f1)],
    ['AUROC', shown(auroc), between(intervals.auroc)],
    ['AUPRC', shown(auprc), of],
    ['Calibration error', shown(calibration.error), 'mean of ten bins'],
  ] as const
  return tiles(all, intervalNote(intervals, records))
}

const confusion = ({ labels, confusion: counts }: ClassFigures): Markup =>
  section(
    'Confusion matrix',
    'Records by their true label (rows) and by what they were called (columns). The stronger a cell, the larger its share of the row; what is right is framed.',
    confusionTable(labels, counts),
  )

/** A label, or a mean over them, which has no areas of its own. */
type Row = Omit<ClassFigures['classes'][number], 'support'> & { support?: number }

function perClass({ classes, macro, weighted, positive }: ClassFigures): Markup {
  const share = (title: string, of: (row: Row) => number): Column<Row> => ({
    title,
    cell: (row) => of(row).toFixed(3),
    bar: of,
  })
  const area = (title: string, key: 'auroc' | 'auprc'): Column<Row> => ({
    title,
    cell: (row) => (row[key] === undefined ? '' : shown(row[key])),
  })
  const columns: Column<Row>[] = [
    { title: 'label', cell: ({ label }) => label },
    share('precision', ({ precision }) => precision),
    share('recall', ({ recall }) => recall),
    share('F1', ({ f1 }) => f1),
    ...(positive === undefined ? [area('AUROC', 'auroc'), area('AUPRC', 'auprc')] : []),
    { title: 'records', cell: ({ support }) => support ?? '' },
  ]
  const means = [
    { label: 'mean over labels', ...macro },
    { label: 'mean over records', ...weighted },
  ]
  return section(
    'Labels',
    'Precision: the share of what was called so that is so. Recall: the share of what is so that was called so.',
    table<Row>(columns, [...classes, ...means]),
  )
}

function reliability({ calibration: { bins } }: ClassFigures): Markup {
  const rows = bins.filter(({ records }) => records > 0)
  const columns: Column<(typeof rows)[number]>[] = [
    { title: 'score', cell: ({ from, to }) => `${from} to ${to}` },
    { title: 'mean score', cell: ({ score }) => shown(score) },
    { title: 'share right', cell: ({ accuracy }) => shown(accuracy) },
    { title: 'records', cell: ({ records }) => records },
  ]
  return section(
    'Reliability',
    'What a score of 0.8 is worth: the share of answers with about that score that are right. Bars below the dotted line are scores that promise too much.',
    html`<div class="beside">${figure(reliabilityPlot(bins), null)}${table(columns, rows)}</div>`,
  )
}

function curves(rankings: Calls['rankings']): Markup | null {
  const drawn = rankings.slice(0, mostCurves).filter(({ ranking }) => ranking.auroc() !== null)
  if (drawn.length === 0) return null
  const share = (title: string) => ({ from: 0, to: 1, title, ticks: [0, 0.5, 1] })
  const frame = { width: 290, height: 250 }
  const roc = drawn.map(({ label, ranking }) => {
    const says = `${label}: AUROC ${shown(ranking.auroc())}`
    const axes = { x: share('false positive rate'), y: share('true positive rate'), label: `ROC curve of ${says}` }
    const drawing = chart({ ...frame, ...axes }, (x, y) => [
      html`<path class="ideal" d="M${x(0)} ${y(0)}L${x(1)} ${y(1)}"/>`,
      curve({ name: label, points: thinned(ranking.roc(), step), colour: 0 }, x, y),
    ])
    return figure(drawing, says)
  })
  const precision = drawn.map(({ label, ranking }) => {
    const says = `${label}: AUPRC ${shown(ranking.averagePrecision())}`
    const axes = { x: share('recall'), y: share('precision'), label: `Precision over recall of ${says}` }
    const points = steps(thinned(ranking.precisionRecall(), step))
    return figure(
      chart({ ...frame, ...axes }, (x, y) => curve({ name: label, points, colour: 0 }, x, y)),
      says,
    )
  })
  const left = rankings.length > mostCurves ? ` The first ${mostCurves} of ${rankings.length} labels.` : ''
  return html`${section('ROC curves', `Each label against the rest. The dotted line is guessing.${left}`, html`<div class="grid">${roc}</div>`)}${section(
    'Precision and recall',
    `What it costs to find more of a label.${left}`,
    html`<div class="grid">${precision}</div>`,
  )}`
}

/** A precision holds from the recall before it to its own. */
const steps = (points: readonly Point[]): Point[] =>
  points.flatMap(([x, y], i) => [[i === 0 ? 0 : points[i - 1][0], y] as const, [x, y] as const])
