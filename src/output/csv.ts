import { lineRows } from './lines.js'
import type { Output } from './output.js'
import { type RowWriter, type Scalar, significant } from './rows.js'

/** Comma-separated values with one header line (RFC 4180, lines ended by LF). Floats have 6 significant digits, null is an empty field. */
export const csvRows = (output: Output, columns: readonly string[]): Promise<RowWriter> =>
  lineRows(output, columns, csvLine)

const csvLine = (fields: readonly Scalar[]) => `${fields.map(csvField).join(',')}\n`

function csvField(value: Scalar): string {
  if (value === null) return ''
  if (typeof value === 'number') return String(significant(value))
  return /[",\n\r]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value
}
