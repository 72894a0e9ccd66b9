import { exitCodes, UserError } from '../../errors.js'
import { printable, shortened } from '../../text/printable.js'

/** Times of rows: which step each of them is, from 0, and how later steps are written. */
export interface Times {
  steps: number[]
  /** As the last time of the table is written. Errors: 2 for a date behind the year 9999. */
  text(step: number): string
}

interface Cell {
  text: string
  line: number
}

type Bad = (what: string, line: number) => UserError

/**
 * Times that rise in whole steps: dates (`2024-05`, `2024-05-31`, `2024-05-31 13:00`, `...T13:00:00Z`) or numbers. The step is the largest that
 * leads to all of them; of dates on one day of the month it is a number of months. Errors: 65 with the line.
 */
export function readTimes(cells: readonly Cell[], bad: Bad): Times {
  const dates = cells.some(({ text }) => isDate(text))
  const times = cells.map(({ text, line }) => {
    const time = dates ? dateOf(text) : text === '' ? Number.NaN : Number(text)
    if (!Number.isFinite(time))
      throw bad(`'${printable(shortened(text, 60))}', expected a date such as 2024-05-31 or a number`, line)
    return time
  })
  for (let i = 1; i < times.length; i++)
    if (times[i] <= times[i - 1]) throw bad(`${cells[i].text} does not come after ${cells[i - 1].text}`, cells[i].line)
  const written = dates
    ? (time: number) => dateText(time, cells[cells.length - 1].text)
    : (time: number) => String(round(time))
  if (dates && times.length > 1 && times.every((time) => sameDay(time, times[0])))
    return inMonths(times, written, cells, bad)
  const step = times.slice(1).reduce((size, time, i) => divisor(size, time - times[i]), 0) || (dates ? day : 1)
  const steps = times.map((time) => Math.round((time - times[0]) / step))
  refuseMany(steps, cells, bad)
  return { steps, text: (n) => written(times[0] + n * step) }
}

const day = 86_400_000
const endOfYears = Date.UTC(10_000, 0)
const datePattern = /^\d{4}-\d\d(-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:?\d\d)?)?)?$/

export const isDate = (text: string) => datePattern.test(text)

/** Milliseconds; without a zone as if in UTC, where no hour is left out and none comes twice. */
function dateOf(text: string): number {
  if (!isDate(text)) return Number.NaN
  const full = text.length === 7 ? `${text}-01` : text.replace(' ', 'T')
  const zoned = full.length <= 10 || /(Z|[+-]\d\d:?\d\d)$/.test(full.slice(10)) ? full : `${full}Z`
  const time = Date.parse(zoned)
  const date = new Date(`${full.slice(0, 10)}T00:00Z`)
  // `Date` takes 30 February for 1 March.
  return Number(full.slice(8, 10)) === date.getUTCDate() ? time : Number.NaN
}

/** In the way of an example, which is in UTC or has no zone; one with another zone goes on in UTC. */
function dateText(time: number, like: string): string {
  if (!(time < endOfYears))
    throw new UserError('dates behind the year 9999 cannot be written: a smaller --horizon', exitCodes.usage)
  const iso = new Date(time).toISOString()
  if (like.length <= 10) return iso.slice(0, like.length)
  const [, seconds, , zone] = /(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?$/.exec(like.slice(16)) ?? []
  const clock = seconds === undefined ? iso.slice(11, 16) : iso.slice(11, 16 + seconds.length)
  return `${iso.slice(0, 10)}${like[10]}${clock}${zone === undefined ? '' : 'Z'}`
}

const monthOf = (time: number) => new Date(time).getUTCFullYear() * 12 + new Date(time).getUTCMonth()
/** Day of the month and time of day are those of another date, and a month is between them. */
const sameDay = (time: number, other: number) => addMonths(other, monthOf(time) - monthOf(other)) === time

function addMonths(time: number, months: number): number {
  const date = new Date(time)
  return date.setUTCMonth(date.getUTCMonth() + months)
}

function inMonths(times: number[], written: (time: number) => string, cells: readonly Cell[], bad: Bad): Times {
  const months = times.map((time) => monthOf(time) - monthOf(times[0]))
  const step = months.slice(1).reduce((size, month, i) => divisor(size, month - months[i]), 0)
  const steps = months.map((month) => month / step)
  refuseMany(steps, cells, bad)
  return { steps, text: (n) => written(addMonths(times[0], n * step)) }
}

/** Steps that a table may have for each of its rows, and how many more than rows: beyond that a time is wrong, or the rows have no step. */
const mostSteps = 1000
const mostLacking = 10_000_000

function refuseMany(steps: readonly number[], cells: readonly Cell[], bad: Bad): void {
  const last = steps[steps.length - 1]
  if (last + 1 <= Math.min(mostSteps * steps.length, steps.length + mostLacking)) return
  throw bad(
    `the times have no step in common: ${last + 1} steps for ${steps.length} rows`,
    cells[cells.length - 1].line,
  )
}

/** The largest number of which both are multiples, but for rounding. */
function divisor(a: number, b: number): number {
  const least = 1e-6 * Math.min(a, b)
  while (b > least) [a, b] = [b, Math.abs(a - Math.round(a / b) * b)]
  return a
}

/** 0.1 + 0.2 is 0.3 to a reader. */
const round = (x: number) => Number(x.toPrecision(12))
