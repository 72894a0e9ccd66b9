import type { Ora } from 'ora'
import { clock } from '../text/clock.js'
import { printable } from '../text/printable.js'

/** Where progress goes: a live line, plain lines, the last line only, or nowhere. */
export type ProgressStyle = 'live' | 'plain' | 'summary' | 'quiet'

export interface ProgressFlags {
  quiet?: boolean
  /** --progress, --no-progress; undefined: as the terminal allows. */
  progress?: boolean
}

const plainInterval = 30_000
const liveInterval = 100

/**
 * A live line only where it works: on a terminal of known width (ora loops forever on a width of 0), not in CI, and not
 * on the terminal that the data is printed to at the same time.
 */
export function progressStyle(
  flags: ProgressFlags,
  dataToStdout: boolean,
  { stderr, stdout, env }: Pick<NodeJS.Process, 'stderr' | 'stdout' | 'env'> = process,
): ProgressStyle {
  if (flags.quiet) return 'quiet'
  if (flags.progress === false) return 'summary'
  const terminal = stderr.isTTY && stderr.columns > 0 && env.TERM !== 'dumb'
  if (terminal && dataToStdout && stdout.isTTY) return flags.progress ? 'plain' : 'summary'
  return terminal && !env.CI ? 'live' : 'plain'
}

/** Progress on standard error. It is driven by `tick` alone: no timer wakes it while the engine computes. */
export class Progress {
  private spinner: Ora | null = null
  private last: number

  private constructor(
    private readonly style: ProgressStyle,
    private readonly print: (line: string) => void,
    private readonly now: () => number,
  ) {
    this.last = now()
  }

  static async start(
    style: ProgressStyle,
    print: (line: string) => void = (line) => process.stderr.write(`${line}\n`),
    now: () => number = Date.now,
  ): Promise<Progress> {
    const progress = new Progress(style, print, now)
    if (style === 'live') {
      const { default: ora } = await import('ora')
      // Standard input may be the data: ora must not touch it. The guard above has judged the terminal already.
      progress.spinner = ora({ stream: process.stderr, discardStdin: false, isEnabled: true }).start()
    }
    return progress
  }

  /**
   * Shows `text()`, at most ten times a second on a terminal and once in 30 s elsewhere. Cheap enough for every chunk.
   */
  tick(text: () => string): void {
    if (this.style === 'quiet' || this.style === 'summary') return
    const now = this.now()
    if (now - this.last < (this.style === 'live' ? liveInterval : plainInterval)) return
    this.last = now
    if (this.spinner === null) {
      this.print(text())
    } else {
      this.spinner.text = text()
      this.spinner.render()
    }
  }

  /** A line that stays, such as a warning. */
  note(line: string): void {
    if (this.style === 'quiet') return
    this.spinner?.clear()
    this.print(`longwave: ${printable(line)}`)
    this.spinner?.render()
  }

  /** The last line, shown by every style but quiet. */
  done(summary: string): void {
    this.stop()
    if (this.style !== 'quiet') this.print(summary)
  }

  /** Takes the live line off the terminal; more than once is harmless. */
  stop(): void {
    this.spinner?.stop()
    this.spinner = null
  }
}

export interface Work {
  /** Records done, and in all if known. */
  records: number
  totalRecords?: number
  /** What they are called. */
  item?: 'record' | 'window' | 'variant'
  /** Tokens (bases, samples) done. */
  tokens: number
  unit: 'bp' | 'tokens' | 'samples'
  /** Done share of the whole, 0 to 1, if known: leads to the ETA. */
  fraction?: number
  seconds: number
}

/** `12/300 records  41.2 Mbp  3.10 Mbp/s  24 %  ETA 0:42` */
export function progressText({
  records,
  totalRecords,
  item = 'record',
  tokens,
  unit,
  fraction,
  seconds,
}: Work): string {
  const parts = [
    `${records}${totalRecords === undefined ? '' : `/${totalRecords}`} ${item}${(totalRecords ?? records) === 1 ? '' : 's'}`,
    quantity(tokens, unit),
  ]
  if (seconds > 0) parts.push(`${quantity(tokens / seconds, unit)}/s`)
  const share = fraction ?? (totalRecords ? records / totalRecords : 0)
  return [...parts, ...remaining(share, seconds)].join('  ')
}

/** How far it is and how long the rest will take, while there is a rest. */
const remaining = (share: number, seconds: number) =>
  share > 0 && share < 1 ? [`${Math.floor(100 * share)} %`, `ETA ${clock((seconds / share) * (1 - share))}`] : []

/** `2/8 files  1:02:03 of audio  85.1 x real time  25 %  ETA 2:10`. `total`: files in all. */
export function audioProgress(files: number, total: number, audio: number, seconds: number): string {
  const count = files < total ? `${files}/${total}` : String(files)
  const parts = [`${count} file${total === 1 ? '' : 's'}`, `${clock(audio)} of audio`]
  if (seconds > 0) parts.push(`${Number((audio / seconds).toPrecision(3))} x real time`)
  return [...parts, ...remaining(files / total, seconds)].join('  ')
}

export interface Pulled {
  /** That are there, of all. */
  bytes: number
  total: number
  /** Since the beginning, which took so many seconds. */
  came: number
  seconds: number
}

/** `ORG/NAME  141 MB of 517 MB  45.0 MB/s  27 %  ETA 0:08` */
export function pullProgress(name: string, { bytes, total, came, seconds }: Pulled): string {
  const parts = [name, `${quantity(bytes, 'B')} of ${quantity(total, 'B')}`]
  if (came > 0 && seconds > 0) {
    parts.push(`${quantity(came / seconds, 'B')}/s`, `${Math.floor((100 * bytes) / total)} %`)
    if (bytes < total) parts.push(`ETA ${clock((seconds / came) * (total - bytes))}`)
  }
  return parts.join('  ')
}

/** Three significant digits with an SI prefix: 41.2 Mbp, 812 bp. */
export function quantity(value: number, unit: string): string {
  const prefixes = ['', 'k', 'M', 'G', 'T']
  let power = 0
  // 999.5 would round to 1000.
  while (value >= 999.5 && power < prefixes.length - 1) {
    value /= 1000
    power++
  }
  const digits = power === 0 ? value.toFixed(0) : value.toPrecision(3)
  return `${digits} ${prefixes[power]}${unit}`
}
