import type { Output } from './output.js'
import { type RowWriter, type Scalar, significant } from './rows.js'

/**
 * Tab-separated values with one header line. Floats have 6 significant digits, null is an empty field. A tab, line feed
 * or carriage return inside a text becomes \t, \n or \r, so that a row is always one line; nothing else is changed, so
 * ids from FASTA and FASTQ come out byte for byte. The header comes with the first row, or in the end: an error before leaves no line.
 */
export async function tsvRows(output: Output, columns: readonly string[]): Promise<RowWriter> {
  let header = tsvLine(columns)
  return {
    async write(cells) {
      const text = header + tsvLine(cells as readonly Scalar[])
      header = ''
      await output.write(text)
    },
    end: () => output.write(header),
  }
}

export const tsvLine = (fields: readonly Scalar[]) => `${fields.map(tsvField).join('\t')}\n`

export function tsvField(value: Scalar): string {
  if (value === null) return ''
  if (typeof value === 'number') return String(significant(value))
  return value.replace(/[\t\n\r]/g, (c) => escapes[c as keyof typeof escapes])
}

const escapes = { '\t': '\\t', '\n': '\\n', '\r': '\\r' }
