import { exitCodes, UserError } from '../../errors.js'
import { decodeText } from '../../input/text.js'
import { linesOf, readTextFile } from '../../input/text-file.js'
import { sha256Of } from './hashed.js'

/** A line of a table that is not empty. */
export interface TableRow {
  /** From 1. */
  line: number
  /** Between tabs, without white space around them. */
  fields: string[]
}

export interface Table {
  rows: TableRow[]
  /** Of the bytes that were read, packed or not. */
  sha256: string
}

/** Rows are held in memory, some 200 bytes each. */
const mostRows = 5_000_000

/**
 * Reads a table of tab-separated columns, plain or gzip, from a file or a pipe, which is read once. Lines end with LF,
 * CRLF or CR; a UTF-8 byte order mark is passed over. Each line is decoded as the headers of FASTA are, and white space
 * is ASCII's, as there. Errors: 65 for what is no such text, 66, 74.
 */
export async function readTable(file: string): Promise<Table> {
  const { packed, bytes } = await readTextFile(file)
  const rows: TableRow[] = []
  for (const { line, text } of linesOf(bytes)) {
    const fields = decodeText(text).split('\t').map(trimmed)
    if (fields.every((field) => field === '')) continue
    rows.push({ line, fields })
    if (rows.length > mostRows)
      throw new UserError(`${file}: more than ${mostRows} lines, expected a table`, exitCodes.data)
  }
  return { rows, sha256: sha256Of(packed) }
}

/** `trim` would take away a no-break space, which may belong to an id. */
const trimmed = (field: string) => field.replace(/^[ \t-\r]+|[ \t-\r]+$/g, '')
