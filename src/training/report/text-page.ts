import { at, chart } from '../../output/report/chart.js'
import { html, type Markup } from '../../output/report/markup.js'
import { figure, type PageHead, pageText, section, table, tiles } from '../../output/report/page.js'
import { type EditCounts, editsOf, errorRate } from '../../text/edit-distance.js'
import { shown } from '../metrics/tables.js'
import type { TextFigures, Transcript } from '../metrics/transcripts.js'
import { between, intervalNote } from './between.js'

/** Recordings that are shown with their texts. */
const mostTexts = 30

/** The report on a model that transcribes. */
export function textPage(head: PageHead, figures: TextFigures, texts: readonly Transcript[]): string {
  return pageText({ ...head, sections: [headline(figures), edits(figures), distribution(texts), worst(texts)] })
}

function headline({ records, wer, cer, exact, silent, intervals }: TextFigures): Markup {
  const all: [string, string, string][] = [
    ['Word error rate', shown(wer), between(intervals.wer)],
    ['Character error rate', shown(cer), between(intervals.cer)],
    ['Without an error', `${(100 * exact).toFixed(1)} %`, 'of the recordings'],
  ]
  if (silent.records > 0) all.push(['In silence', `${silent.exact} of ${silent.records}`, 'without a word'])
  return tiles(all, intervalNote(intervals, records))
}

function edits({ words, characters }: TextFigures): Markup {
  const rows: [string, EditCounts][] = [
    ['words', words],
    ['characters', characters],
  ]
  const share = (count: number, { length }: EditCounts) =>
    length === 0 ? count : html`${count} <small>(${((100 * count) / length).toFixed(1)} %)</small>`
  const columns = (['substitutions', 'deletions', 'insertions'] as const).map((kind) => ({
    title: kind,
    cell: ([, counts]: [string, EditCounts]) => share(counts[kind], counts),
  }))
  return section(
    'Errors',
    'The fewest changes that make what was said into what was written, in percent of what was said.',
    table(
      [{ title: '', cell: ([name]) => name }, { title: 'said', cell: ([, { length }]) => length }, ...columns],
      rows,
    ),
  )
}

/** Recordings by their own error rate, in tenths, everything from 1 up together. */
function distribution(texts: readonly Transcript[]): Markup {
  const counts = new Array<number>(11).fill(0)
  for (const { words } of texts) counts[Math.min(10, Math.floor(10 * errorRate(words) + 1e-9))]++
  const name = (bin: number) => (bin === 10 ? '1 and more' : `${bin / 10} to ${(bin + 1) / 10}`)
  const label = `Recordings by word error rate: ${counts.map((count, bin) => `${name(bin)}: ${count}`).join('; ')}`
  const x = { from: 0, to: 1.1, title: 'word error rate', ticks: [0, 0.2, 0.4, 0.6, 0.8, 1] }
  const y = { from: 0, to: Math.max(1, ...counts), title: 'recordings', ticks: 3 }
  const drawing = chart({ width: 520, height: 220, x, y, label }, (across, up) =>
    counts.map((count, bin) => {
      const [left, right] = [at(across, bin / 10) + 1, at(across, (bin + 1) / 10) - 1]
      const d = `M${left} ${at(up, 0)}V${at(up, count)}H${right}V${at(up, 0)}Z`
      return html`<path d="${d}" style="fill:var(--c0)"><title>${name(bin)}: ${count}</title></path>`
    }),
  )
  return section(
    'Recordings',
    'How the errors are spread. The last bar holds all rates from 1 up.',
    figure(drawing, null),
  )
}

function worst(texts: readonly Transcript[]): Markup {
  const rows = [...texts].sort((a, b) => editsOf(b.words) - editsOf(a.words)).slice(0, mostTexts)
  const said = (text: string) => (text === '' ? html`<em>nothing</em>` : text)
  const columns = [
    { title: 'recording', cell: ({ path }: Transcript) => path },
    { title: 'said', cell: ({ reference }: Transcript) => said(reference), text: true },
    { title: 'written', cell: ({ hypothesis }: Transcript) => said(hypothesis), text: true },
    { title: 'errors', cell: ({ words }: Transcript) => editsOf(words) },
    { title: 'words', cell: ({ words }: Transcript) => words.length },
  ]
  const which =
    rows.length < texts.length ? `The ${rows.length} with the most wrong words` : 'All of them, the worst first'
  return section('Texts', `${which}, as they are compared.`, table(columns, rows))
}
