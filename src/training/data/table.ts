import { createHash } from 'node:crypto'
import { gunzipSync } from 'node:zlib'
import { exitCodes, UserError } from '../../errors.js'
import { readWhole } from '../../input/bytes.js'
import { decodeText } from '../../input/text.js'

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

/** A table is text: what unpacks to more than this is none. */
const mostBytes = 2 ** 30
/** Rows are held in memory, some 200 bytes each. */
const mostRows = 5_000_000

/**
 * Reads a table of tab-separated columns, plain or gzip, from a file or a pipe, which is read once. Lines end with LF,
 * CRLF or CR; a UTF-8 byte order mark is passed over. Each line is decoded as the headers of FASTA are, and white space
 * is ASCII's, as there. Errors: 65 for what is no such text, 66, 74.
 */
export async function readTable(file: string): Promise<Table> {
  const packed = await readWhole(file)
  const bytes = unpacked(file, packed)
  refuseOtherEncodings(file, bytes)
  const rows: TableRow[] = []
  for (const { line, text } of linesOf(bytes)) {
    const fields = decodeText(text).split('\t').map(trimmed)
    if (fields.every((field) => field === '')) continue
    rows.push({ line, fields })
    if (rows.length > mostRows)
      throw new UserError(`${file}: more than ${mostRows} lines, expected a table`, exitCodes.data)
  }
  return { rows, sha256: createHash('sha256').update(packed).digest('hex') }
}

/** `trim` would take away a no-break space, which may belong to an id. */
const trimmed = (field: string) => field.replace(/^[ \t-\r]+|[ \t-\r]+$/g, '')

function unpacked(file: string, bytes: Buffer): Buffer {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes
  try {
    return gunzipSync(bytes, { maxOutputLength: mostBytes })
  } catch (error) {
    throw new UserError(`${file}: ${(error as Error).message} (damaged gzip)`, exitCodes.data)
  }
}

function refuseOtherEncodings(file: string, bytes: Buffer): void {
  const cure = `expected UTF-8; convert it: iconv -f UTF-16 -t UTF-8 ${file}`
  const mark = bytes.subarray(0, 2).toString('hex')
  if (mark === 'fffe' || mark === 'feff') throw new UserError(`${file}: UTF-16 text, ${cure}`, exitCodes.data)
  const nul = bytes.indexOf(0)
  if (nul < 0) return
  // What is before it and itself: the last line, as it is not empty.
  let line = 1
  for (const last of linesOf(bytes.subarray(0, nul + 1))) line = last.line
  throw new UserError(`${file}: line ${line}: a NUL byte, no text; if this is UTF-16, ${cure}`, exitCodes.data)
}

/**
 * Lines that are not empty, one by one: a small gzip file may hold a thousand million line ends. Without a byte order
 * mark.
 */
function* linesOf(bytes: Buffer): Generator<{ line: number; text: Buffer }> {
  let line = 1
  let from = bytes.subarray(0, 3).toString('hex') === 'efbbbf' ? 3 : 0
  for (let i = from; i <= bytes.length; i++) {
    if (i < bytes.length && bytes[i] !== 10 && bytes[i] !== 13) continue
    if (i > from) yield { line, text: bytes.subarray(from, i) }
    if (bytes[i] === 13 && bytes[i + 1] === 10) i++
    from = i + 1
    line++
  }
}
