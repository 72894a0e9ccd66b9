import { scaleLinear, scaleUtc } from 'd3-scale'
import { clock } from '../../text/clock.js'
import type { Unit } from '../../tokens/tokenizer.js'
import { at, colourOf } from './chart.js'
import type { BinnedRecord } from './label-track.js'
import { html, type Markup } from './markup.js'

/** A row of the drawing: one label, or several that are drawn as one. */
export interface Lane {
  name: string
  labels: readonly number[]
  colour: number
}

const [width, left, right] = [960, 150, 56]
const lane = { height: 18, gap: 6 }
const scoreHeight = 26

/** A record from left to right, a lane for each label: how much of each place was called so, and the mean score. */
export function trackDrawing(record: BinnedRecord, lanes: readonly Lane[], unit: Unit): Markup {
  const across = scaleLinear([record.start, record.end], [left, width - right])
  const shareOf = ({ labels }: Lane, bin: number) => labels.reduce((sum, label) => sum + record.share(bin, label), 0)
  const shares = lanes.map(({ labels }) => labels.reduce((sum, label) => sum + record.shareOfAll(label), 0))
  const rows = lanes.map((each, i) => {
    const top = i * (lane.height + lane.gap)
    const path = blocks(record, lane.height, (bin) => shareOf(each, bin))
    return html`<g transform="translate(0 ${top})"><text class="name" x="${left - 10}" y="${lane.height / 2}" dy=".35em" text-anchor="end">${shortened(each.name)}</text><path class="grid-line" d="M${left} ${lane.height}H${width - right}"/>${placed(record, across, path, colourOf(each.colour))}<text x="${width}" y="${lane.height / 2}" dy=".35em" text-anchor="end">${percent(shares[i])}</text></g>
`
  })
  const below = lanes.length * (lane.height + lane.gap) + 4
  const scores = blocks(record, scoreHeight, (bin) => record.score(bin))
  const bottom = below + scoreHeight
  const ticks = ticksOf(record, unit).map(
    ([value, text]) =>
      html`<path class="axis" d="M${at(across, value)} ${bottom}v5"/><text x="${at(across, value)}" y="${bottom + 19}" text-anchor="middle">${text}</text>`,
  )
  const label = `${record.id}: ${lanes.map(({ name }, i) => `${name} ${percent(shares[i])}`).join(', ')}`
  return html`<svg role="img" aria-label="${label}" viewBox="0 0 ${width} ${bottom + 24}" width="${width}" height="${bottom + 24}">
${rows}<g transform="translate(0 ${below})"><text x="${left - 10}" y="${scoreHeight / 2}" dy=".35em" text-anchor="end">mean score</text>${placed(record, across, scores, 'var(--line)')}</g>
<path class="axis" d="M${left} ${bottom}H${width - right}"/>${ticks}
</svg>
`
}

/** A path in bins and pixels of height, where the record is drawn. */
function placed(record: BinnedRecord, across: (value: number) => number, path: string, colour: string): Markup {
  const perBin = across(record.start + record.width) - across(record.start)
  return html`<path transform="translate(${left} 0) scale(${perBin.toFixed(5)} 1)" d="${path}" style="fill:${colour}"/>`
}

/** Blocks as high as the share of each bin, neighbours of one height as one; what is there at all is seen. */
function blocks({ bins, length, width }: BinnedRecord, height: number, share: (bin: number) => number): string {
  const heightOf = (bin: number) => (bin < bins && share(bin) > 0 ? Math.max(1, Math.round(share(bin) * height)) : 0)
  const end = Number((length / width).toFixed(2))
  let path = ''
  let now = 0
  for (let bin = 0; bin <= bins; bin++) {
    const next = heightOf(bin)
    if (next === now) continue
    path += now === 0 ? `M${bin} ${height}` : `H${Math.min(bin, end)}`
    path += `V${height - next}`
    now = next
  }
  return path
}

function ticksOf({ start, end }: BinnedRecord, unit: Unit): [number, string][] {
  if (unit !== 'seconds') {
    const name = unit === 'bases' ? 'bp' : unit
    const scale = scaleLinear([start, end], [0, 1])
    const format = scale.tickFormat(6, '~s')
    // 20k -> 20 kbp
    const text = (value: number) => format(value).replace(/(?=[a-z]|$)/i, ' ')
    return scale.ticks(6).map((value) => [value, value === 0 ? '0' : `${text(value)}${name}`])
  }
  const times = scaleUtc([1000 * start, 1000 * end], [0, 1]).ticks(6)
  return times.map((time) => [time.getTime() / 1000, clock(time.getTime() / 1000)])
}

const percent = (share: number) =>
  share > 0 && share < 0.001 ? '< 0.1 %' : `${(100 * share).toFixed(share > 0 && share < 0.01 ? 1 : 0)} %`
const shortened = (name: string) => (name.length > 20 ? `${name.slice(0, 19)}…` : name)
