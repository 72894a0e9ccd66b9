import { basename } from 'node:path'
import { stdinName } from '../input/bytes.js'
import { unclassified } from '../output/calls.js'
import { LabelTrack } from '../output/report/label-track.js'
import { html, type Markup } from '../output/report/markup.js'
import { figure, pageText, section, table } from '../output/report/page.js'
import { type Lane, trackDrawing } from '../output/report/track.js'
import type { Cells } from '../output/rows.js'
import type { Unit } from '../tokens/tokenizer.js'
import { SpanCaller } from './callers.js'
import { type Classification, Report } from './classify.js'

/** Labels with a lane of their own. */
const mostLanes = 10
/** Bins of all drawings: some thousand blocks, whatever was read. */
const bins = 8000

/** Inputs that are named. */
const mostNames = 5

/** How windows are drawn: in bases or seconds, and below which score they have no label. */
export interface TrackOptions {
  unit: Unit
  minScore: number
  window: number
  stride?: number
}

/** What a report was made by and from. */
interface Made {
  version: string
  model: string
  inputs: readonly string[]
}

/** The report on what the windows of records were called, in memory that does not depend on how many there are. */
export class TrackPage {
  private readonly unit: Unit
  private readonly lengths: [window: number, stride: number]
  private readonly caller: SpanCaller
  private readonly report: Report
  private readonly names: string[]
  private readonly track: LabelTrack

  constructor(labels: readonly string[], { unit, minScore, window, stride = window }: TrackOptions) {
    this.unit = unit
    this.lengths = [window, stride]
    this.caller = new SpanCaller(minScore)
    this.report = new Report(labels, unit)
    this.names = [...labels, unclassified]
    this.track = new LabelTrack(this.names.length, commonDivisor(window, stride))
  }

  /** Each window as it is, whatever rows are made of it. */
  add(window: Classification): void {
    for (const call of this.caller.push(window)) {
      this.report.add(call)
      this.track.add(call.label ?? this.names.length - 1, call.score, call)
    }
  }

  text({ version, model, inputs }: Made): string {
    const totals = this.report.rows()
    const [window, stride] = this.lengths
    const names = inputs.map((path) => (path === '-' ? stdinName : path))
    const title = `${basename(model)} along ${basename(names[0] ?? '')}${names.length > 1 ? ' and others' : ''}`
    const facts = [
      ['model', model],
      [
        'inputs',
        `${names.slice(0, mostNames).join(', ')}${names.length > mostNames ? ` and ${names.length - mostNames} others` : ''}`,
      ],
      ['window', this.lengthText(window)],
      ['stride', this.lengthText(stride)],
    ] as const
    const sections = [this.totals(totals), this.tracks(totals)]
    return pageText({ maker: `longwave ${version} classify`, title, facts, sections })
  }

  private lengthText(length: number): string {
    if (this.unit === 'seconds') return `${Number(length.toFixed(2))} s`
    return `${length.toLocaleString('en')} ${this.unit === 'bases' ? 'bp' : this.unit}`
  }

  private totals(rows: readonly Cells[]): Markup {
    const columns = [
      { title: 'label', cell: ([label]: Cells) => String(label) },
      { title: 'windows', cell: ([, count]: Cells) => Number(count) },
      {
        title: 'percent',
        cell: ([, , percent]: Cells) => Number(percent).toFixed(1),
        bar: ([, , percent]: Cells) => Number(percent) / 100,
      },
      { title: this.unit, cell: ([, , , amount]: Cells) => Number(Number(amount).toFixed(2)) },
    ]
    return section('Totals', 'Windows of all records by their label.', table(columns, rows))
  }

  private tracks(totals: readonly Cells[]): Markup | null {
    const lanes = this.lanes(totals.map(([, count]) => Number(count)))
    const records = this.track.records(bins)
    if (records.length === 0) return null
    const { further } = this.track
    const left =
      further.records > 0 &&
      ` The ${records.length} longest records; the ${further.records} others are in the totals alone.`
    const drawings = records.map(
      (record) =>
        html`<h3>${record.id} <small>${this.lengthText(record.length)}</small></h3>${figure(trackDrawing(record, lanes, this.unit), null)}`,
    )
    return section(
      'Labels along the records',
      html`A lane for each label, as high as its share of the windows at each place; its share of the record on the right.${left}`,
      drawings,
    )
  }

  /** The commonest labels first; those that occur nowhere have no lane, and what is left of very many has one. */
  private lanes(counts: readonly number[]): Lane[] {
    const last = this.names.length - 1
    const present = this.names.map((_, i) => i).filter((i) => counts[i] > 0 && i !== last)
    present.sort((a, b) => counts[b] - counts[a])
    const own = present.length > mostLanes ? present.slice(0, mostLanes - 1) : present
    const others = present.slice(own.length)
    return [
      ...own.map((i, at) => ({ name: this.names[i], labels: [i], colour: at })),
      ...(others.length > 0 ? [{ name: `${others.length} others`, labels: others, colour: own.length }] : []),
      ...(counts[last] > 0 ? [{ name: unclassified, labels: [last], colour: 7 }] : []),
    ]
  }
}

/** Of two lengths to the thousandth: windows and the gaps between them are whole multiples of it. */
function commonDivisor(a: number, b: number): number {
  let [x, y] = [Math.round(1000 * a), Math.round(1000 * b)]
  while (y > 0) [x, y] = [y, x % y]
  return Math.max(1, x) / 1000
}
