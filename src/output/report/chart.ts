import { type ScaleContinuousNumeric, scaleLinear, scaleLog } from 'd3-scale'
import { line } from 'd3-shape'
import { html, type Markup, type Part } from './markup.js'

export type Point = readonly [x: number, y: number]
export type Scale = ScaleContinuousNumeric<number, number>

export interface Axis {
  from: number
  to: number
  title: string
  /** Equal distances are equal ratios. */
  log?: boolean
  /** About how many ticks, or which. */
  ticks?: number | readonly number[]
  format?: (value: number) => string
}

export interface Frame {
  width: number
  height: number
  x: Axis
  y: Axis
  /** What it shows, in words, for who cannot see it. */
  label: string
}

const margin = { left: 64, right: 14, top: 10, bottom: 40 }
/** Tenths of a pixel are finer than any screen. */
const digits = 1

/** Axes with a grid, and what `draw` puts on it. */
export function chart({ width, height, x, y, label }: Frame, draw: (x: Scale, y: Scale) => Part): Markup {
  const [left, right, top, bottom] = [margin.left, width - margin.right, margin.top, height - margin.bottom]
  const across = scaleOf(x, [left, right])
  const up = scaleOf(y, [bottom, top])
  if (!y.log) up.nice()
  const rows = ticksOf(up, y).map(
    ([value, text]) =>
      html`<path class="grid-line" d="M${left} ${at(up, value)}H${right}"/><text x="${left - 8}" y="${at(up, value)}" dy=".35em" text-anchor="end">${text}</text>`,
  )
  const columns = ticksOf(across, x).map(
    ([value, text]) =>
      html`<path class="axis" d="M${at(across, value)} ${bottom}v5"/><text x="${at(across, value)}" y="${bottom + 19}" text-anchor="middle">${text}</text>`,
  )
  return html`<svg role="img" aria-label="${label}" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">
${rows}${columns}<path class="axis" d="M${left} ${bottom}H${right}"/>
<text class="name" x="${(left + right) / 2}" y="${height - 4}" text-anchor="middle">${x.title}</text>
<text class="name" transform="translate(12 ${(top + bottom) / 2}) rotate(-90)" text-anchor="middle">${y.title}</text>
${draw(across, up)}
</svg>
`
}

const scaleOf = ({ from, to, log = false }: Axis, range: Point): Scale =>
  (log ? scaleLog : scaleLinear)([from, to], range)

function ticksOf(scale: Scale, { ticks = 5, format }: Axis): [number, string][] {
  const values = typeof ticks === 'number' ? scale.ticks(ticks) : ticks
  const text = format ?? scale.tickFormat(typeof ticks === 'number' ? ticks : 5)
  return values.map((value) => [value, text(value)])
}

/** A coordinate in pixels, as short as it needs to be. */
export const at = (scale: (value: number) => number, value: number): number => Number(scale(value).toFixed(digits))

export interface Series {
  name: string
  points: readonly Point[]
  /** Number of a colour of the page. */
  colour: number
  /** Lengths of dashes and gaps; absent: unbroken. Lines are told apart by it where colours are not. */
  dash?: string
  faint?: boolean
}

export function curve({ points, colour, dash, faint }: Series, x: Scale, y: Scale): Markup {
  const path = line<Point>()
    .digits(digits)
    .x(([value]) => x(value))
    .y(([, value]) => y(value))
  const shown = html` stroke-dasharray="${dash ?? ''}"`
  return html`<path class="curve" style="stroke:${colourOf(colour)}"${dash !== undefined && shown}${faint === true && html` stroke-opacity=".45"`} d="${path(points) ?? ''}"/>`
}

/** The lines of a chart by name, with their dashes. */
export const legend = (series: readonly Series[]): Markup =>
  html`<p class="legend">${series.map(
    ({ name, colour, dash, faint }) =>
      html`<span><svg aria-hidden="true" viewBox="0 0 28 8" width="28" height="8"><path class="curve" style="stroke:${colourOf(colour)}"${dash !== undefined && html` stroke-dasharray="${dash}"`}${faint === true && html` stroke-opacity=".45"`} d="M0 4H28"/></svg>${name}</span>`,
  )}</p>
`

const colours = 8
export const colourOf = (number: number): string => `var(--c${number % colours})`

/** Points at least `step` apart in one direction: what a drawing can show of a curve through a million. */
export function thinned(points: readonly Point[], step: number): Point[] {
  const kept: Point[] = []
  let [x, y] = [-Infinity, -Infinity]
  for (const [i, point] of points.entries()) {
    if (i + 1 < points.length && Math.abs(point[0] - x) < step && Math.abs(point[1] - y) < step) continue
    kept.push(point)
    x = point[0]
    y = point[1]
  }
  return kept
}
