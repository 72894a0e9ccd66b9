import Papa from 'papaparse'
import { exitCodes, UserError } from '../../errors.js'
import { printable, shortened } from '../../text/printable.js'
import { stdinName } from '../bytes.js'
import { decodeText } from '../text.js'
import { readTextFile } from '../text-file.js'
import { isDate, readTimes, type Times } from './times.js'

/** A series of numbers at equal steps, NaN where one is missing. */
export interface Series {
  name: string
  values: Float64Array
}

export interface SeriesTable {
  series: Series[]
  /** Null: the table has no column of times. */
  times: Times | null
}

interface Columns {
  /** That of the times; absent: the first one, if it holds dates. */
  time?: string
  /** Those of the series; absent: all others. */
  series?: readonly string[]
}

/** A table is held as cells, some 150 bytes each. */
const mostCells = 5_000_000
const mostBytes = 2 ** 28

const missing = new Set(['', 'na', 'nan', 'null', 'none'])

/**
 * A table with commas, semicolons or tabs between its cells, of which the first line is a header if some of it is neither a number nor a date. Columns are
 * series; rows that are missing between two times are steps without values. Errors: 65 with file and line; 2 for a column that
 * is not there; 66.
 */
export async function readSeries(path: string, columns: Columns): Promise<SeriesTable> {
  const file = path === '-' ? stdinName : path
  const bad = (what: string, line?: number) =>
    new UserError(`${file}${line === undefined ? '' : `: line ${line}`}: ${what}`, exitCodes.data)
  const { bytes } = await readTextFile(path)
  if (bytes.length > mostBytes) throw bad('more than 256 MiB, expected a table of series')
  if (separators(bytes) > mostCells) throw bad('more than 5,000,000 cells, expected a table of series')
  const { names, rows } = cellsOf(decodeText(bytes), bad)
  const timeAt = timeColumn(names, rows[0].cells, columns.time)
  const timeCells = rows.map(({ cells, line }) => ({ text: cells[timeAt], line }))
  const times = timeAt < 0 ? null : readTimes(timeCells, bad)
  const wanted = columns.series?.map((name) => columnOf(names, name)) ?? [...names.keys()].filter((i) => i !== timeAt)
  if (wanted.length === 0) throw bad('has no column of numbers')
  const steps = times ? times.steps[times.steps.length - 1] + 1 : rows.length
  const series = wanted.map((at) => {
    const values = new Float64Array(steps).fill(Number.NaN)
    for (const [row, { cells, line }] of rows.entries()) {
      const value = numberOf(cells[at])
      if (value === null)
        throw bad(`column ${shown(names[at])}: ${shown(cells[at])}, expected a number or nothing`, line)
      values[times ? times.steps[row] : row] = value
    }
    return { name: names[at], values }
  })
  return { series, times }
}

interface Row {
  cells: string[]
  line: number
}

type Bad = (what: string, line?: number) => UserError

/** The names of the columns, numbers from 1 without a header, and rows of as many cells. */
function cellsOf(text: string, bad: Bad): { names: string[]; rows: Row[] } {
  const { data, errors } = Papa.parse<string[]>(text.replace(/^\uFEFF/, ''), { delimiter: delimiterOf(text) })
  const quote = errors.find(({ type }) => type === 'Quotes')
  if (quote) {
    const what = quote.code === 'MissingQuotes' ? 'is not closed' : 'stands inside a cell'
    throw bad(`a quote that ${what}`, (quote.row ?? 0) + 1)
  }
  const rows = data
    .map((cells, row): Row => ({ cells: cells.map((cell) => cell.trim()), line: row + 1 }))
    .filter(({ cells }) => cells.some((cell) => cell !== ''))
  if (rows.length === 0) throw bad('is empty, expected a table of numbers')
  const header = rows[0].cells.every(isValue) ? null : rows.shift()
  if (rows.length === 0) throw bad('has a header and no rows')
  const names = header?.cells ?? rows[0].cells.map((_, i) => String(i + 1))
  const odd = rows.find(({ cells }) => cells.length !== names.length)
  if (odd) throw bad(`${odd.cells.length} cells, expected ${names.length}`, odd.line)
  return { names, rows }
}

/** NaN for one that is missing; null: no number. */
function numberOf(cell: string): number | null {
  if (missing.has(cell.toLowerCase())) return Number.NaN
  const value = Number(cell)
  return Number.isFinite(value) ? value : null
}

const isValue = (cell: string) => numberOf(cell) !== null || isDate(cell)

/** Line feeds, and what may stand between cells. */
function separators(bytes: Uint8Array): number {
  let count = 0
  for (const byte of bytes) if (byte === 10 || byte === 44 || byte === 59 || byte === 9) count++
  return count
}

/** What stands most often in the first line that has anything. */
function delimiterOf(text: string): string {
  const [line = ''] = /\S.*/.exec(text) ?? []
  const count = (delimiter: string) => line.split(delimiter).length
  return [',', ';', '\t'].reduce((most, other) => (count(other) > count(most) ? other : most))
}

/** -1: there is none. */
function timeColumn(names: readonly string[], first: readonly string[], wanted?: string): number {
  if (wanted !== undefined) return columnOf(names, wanted)
  return isDate(first[0]) ? 0 : -1
}

function columnOf(names: readonly string[], wanted: string): number {
  const at = names.indexOf(wanted)
  if (at >= 0) return at
  throw new UserError(`no column ${shown(wanted)}; there are ${names.map(shown).join(', ')}`, exitCodes.usage)
}

const shown = (text: string) => `'${printable(shortened(text, 60))}'`
