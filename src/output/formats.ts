import { jsonRows } from './json.js'
import { jsonlRows } from './jsonl.js'
import type { Output } from './output.js'
import type { RowWriter } from './rows.js'
import { tsvRows } from './tsv.js'

export const tableFormats = ['tsv', 'jsonl', 'json'] as const
export type TableFormat = (typeof tableFormats)[number]

/** Rows in a table format; `columns` name and order the cells. */
export function openRows(format: TableFormat, output: Output, columns: readonly string[]): Promise<RowWriter> {
  switch (format) {
    case 'tsv':
      return tsvRows(output, columns)
    case 'jsonl':
      return jsonlRows(output, columns)
    case 'json':
      return jsonRows(output, columns)
    default:
      return format satisfies never
  }
}
