import { type Axis, at, chart, colourOf, curve, type Point, type Scale, type Series } from '../output/report/chart.js'
import { html, Markup } from '../output/report/markup.js'
import { style } from '../output/report/style.js'
import type { LongBenchRow } from './long.js'

/** What `bench long --json` prints, as far as it is drawn. */
export interface LongBench {
  machine: { cpu: string }
  rows: readonly LongBenchRow[]
}

interface Line extends Series {
  /** Points were measured, the line between them guides the eye; without a mark all of it is computed. */
  marked: boolean
}

const [width, height, top] = [990, 390, 76]
const panel = { width: 470, height: height - top }
const between = 30

/**
 * Time and peak memory against the length of a record, both on logarithmic axes, as an SVG that stands alone. Beside what was measured stands
 * what attention of the same width would ask for, by its formulas: nothing of it was run.
 */
export function longPlot({ machine, rows }: LongBench): string {
  const free = rows.filter(({ max_memory_mib }) => max_memory_mib === null)
  const [forward, both] = ['causal', 'bidirectional'].map((kind) => free.filter(({ model }) => model.startsWith(kind)))
  const limited = rows.filter(({ max_memory_mib }) => max_memory_mib !== null)
  const [, layers, D] = /(\d+) x (\d+)/.exec(forward[0].model)!.map(Number)
  const lengths = forward.map(({ tokens }) => tokens)
  const measured = (name: string, colour: number, points: readonly Point[]): Line => ({
    name,
    colour,
    points,
    marked: true,
  })
  const computed = (name: string, colour: number, dash: string, of: (L: number) => number): Line => {
    return { name, colour, dash, points: lengths.map((L) => [L, of(L)]), marked: false }
  }
  const seconds = (row: LongBenchRow): Point => [row.tokens, (row.us_per_token * row.tokens) / 1e6]
  const bytes = (row: LongBenchRow): Point => [row.tokens, row.peak_mib * 2 ** 20]
  // Where the start takes longer than the record, and varies by more, there is no time.
  const timed = (some: readonly LongBenchRow[]) => some.map(seconds).filter(([, time]) => time > 0)
  const [[L0, t0]] = [...timed(forward), ...timed(both)]
  const times = [
    measured('reads forward', 0, timed(forward)),
    measured('reads both ways', 1, timed(both)),
    computed('quadratic from the first point, computed', 7, '6 4', (L) => t0 * (L / L0) ** 2),
  ]
  const limit = limited.map(({ max_memory_mib }) => `both ways in ${max_memory_mib} MiB`)[0]
  const memory = [
    measured('reads forward', 0, forward.map(bytes)),
    measured('reads both ways', 1, both.map(bytes)),
    ...(limit ? [measured(limit, 2, limited.map(bytes))] : []),
    computed('keys and values of attention, computed', 7, '2 4', (L) => 2 * layers * D * 4 * L),
    computed('one matrix of scores, computed', 7, '6 4', (L) => 4 * L * L),
  ]
  const x: Axis = {
    from: lengths[0],
    to: lengths[lengths.length - 1],
    title: 'bases',
    log: true,
    ticks: lengths,
    format: count,
  }
  const { threads } = rows[0]
  const where = `${threads} thread${threads === 1 ? '' : 's'} of ${machine.cpu}`
  const title = `embed of one record, ${layers} layers of width ${D}, float32, ${where}`
  return html`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${title}">
<style>${new Markup(style)}svg { background: var(--back); }</style>
<rect width="${width}" height="${height}" style="fill:var(--back)"/>
<text class="name" x="12" y="18">${title}</text>
${drawn(times, x, { title: 'seconds', ticks: powers(times, 10), format: String }, 0)}
${drawn(memory, x, { title: 'peak memory', ticks: powers(memory, 16), format: size }, panel.width + between)}
</svg>
`.text
}

function drawn(lines: Line[], x: Axis, y: Pick<Axis, 'title' | 'format'> & { ticks: number[] }, left: number): Markup {
  const [from, to] = [y.ticks[0], y.ticks[y.ticks.length - 1]]
  const frame = { ...panel, x, y: { ...y, from, to, log: true }, label: y.title }
  const marks = ({ points, colour, marked }: Line, across: Scale, up: Scale) =>
    marked &&
    points.map(
      ([L, value]) =>
        html`<circle cx="${at(across, L)}" cy="${at(up, value)}" r="3.5" style="fill:${colourOf(colour)}"/>`,
    )
  const draw = (across: Scale, up: Scale) => lines.map((line) => [curve(line, across, up), marks(line, across, up)])
  return html`<g transform="translate(${left} ${top})">${chart(frame, draw)}</g>
<g transform="translate(${left + 64} 32)">${keys(lines)}</g>`
}

/** Lines and their names: those that were measured side by side, below them each that was computed. */
function keys(lines: readonly Line[]): Markup[] {
  const measured = lines.filter(({ marked }) => marked).length
  return lines.map(({ name, colour, dash, marked }, i) => {
    const [x, y] = marked ? [i * 135, 0] : [0, (i - measured + 1) * 15]
    return html`<g transform="translate(${x} ${y})"><path class="curve" style="stroke:${colourOf(colour)}"${dash !== undefined && html` stroke-dasharray="${dash}"`} d="M0 4H22"/><text x="28" y="8">${name}</text></g>`
  })
}

/** Powers of a base around all values. */
function powers(lines: readonly Line[], base: number): number[] {
  const values = lines.flatMap(({ points }) => points.map(([, value]) => Math.log(value) / Math.log(base)))
  const [from, to] = [Math.floor(Math.min(...values)), Math.ceil(Math.max(...values))]
  return Array.from({ length: to - from + 1 }, (_, i) => base ** (from + i))
}

const count = (value: number) => value.toLocaleString('en')

/** `64 KiB`, `4 TiB` of powers of two. */
function size(bytes: number): string {
  const power = Math.floor(Math.log2(bytes) / 10)
  return `${bytes / 1024 ** power} ${['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'][power]}`
}
