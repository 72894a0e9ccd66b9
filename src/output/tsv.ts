import { lineRows } from './lines.js'
import type { Output } from './output.js'
import { type RowWriter, type Scalar, significant } from './rows.js'

/**
 * Tab-separated values with one header line. Floats have 6 significant digits, null is an empty field. A tab, line feed
 * or carriage return inside a text becomes \t, \n or \r, so that a row is always one line; nothing else is changed, so
 * ids from FASTA and FASTQ come out byte for byte.
 */
export const tsvRows = (output: Output, columns: readonly string[]): Promise<RowWriter> =>
  lineRows(output, columns, tsvLine)

export const tsvLine = (fields: readonly Scalar[]) => `${fields.map(tsvField).join('\t')}\n`

export function tsvField(value: Scalar): string {
  if (value === null) return ''
  if (typeof value === 'number') return String(significant(value))
  return value.replace(/[\t\n\r]/g, (c) => escapes[c as keyof typeof escapes])
}

const escapes = { '\t': '\\t', '\n': '\\n', '\r': '\\r' }
