import { type Axis, at, chart, colourOf } from './chart.js'
import { html, type Markup } from './markup.js'

export interface ReliabilityBin {
  from: number
  to: number
  records: number
  score: number | null
  accuracy: number | null
}

const width = 420
const share = (title: string): Axis => ({ from: 0, to: 1, title })

/** How often answers of each score are right: bars on the diagonal are honest. Below, how many answers have it. */
export function reliabilityPlot(bins: readonly ReliabilityBin[]): Markup {
  const filled = bins.filter(({ records }) => records > 0)
  const most = Math.max(1, ...bins.map(({ records }) => records))
  const label = `Reliability: ${filled
    .map((bin) => `score ${bin.from} to ${bin.to}: ${(100 * bin.accuracy!).toFixed(0)} % of ${bin.records} right`)
    .join('; ')}`
  const upper = { width, height: 330, x: share('score'), y: share('share right'), label }
  const drawn = chart(upper, (x, y) => [
    filled.map((bin) => bar(bin, x, y, bin.accuracy!)),
    html`<path class="ideal" d="M${x(0)} ${y(0)}L${x(1)} ${y(1)}"/>`,
    filled.map(
      ({ score, accuracy }) =>
        html`<circle cx="${at(x, score!)}" cy="${at(y, accuracy!)}" r="4" style="fill:${colourOf(0)}"/>`,
    ),
  ])
  const counts = { from: 0, to: most, title: 'records', ticks: 2 }
  const says = `Records by score: ${filled.map((bin) => `${bin.from} to ${bin.to}: ${bin.records}`).join('; ')}`
  const lower = { width, height: 130, x: share('score'), y: counts, label: says }
  return html`${drawn}${chart(lower, (x, y) => filled.map((bin) => bar(bin, x, y, bin.records)))}`
}

function bar({ from, to }: ReliabilityBin, x: (v: number) => number, y: (v: number) => number, height: number): Markup {
  const [left, right] = [at(x, from) + 1, at(x, to) - 1]
  return html`<path d="M${left} ${y(0)}V${at(y, height)}H${right}V${y(0)}Z" style="fill:var(--bar)"/>`
}
