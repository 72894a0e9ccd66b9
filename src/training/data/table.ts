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

/**
 * Reads a table of tab-separated columns, plain or gzip, from a file or a pipe, which is read once. Lines end with LF, CRLF or CR; a
 * UTF-8 byte order mark is passed over. Each line is decoded as the headers of FASTA are, and white space is ASCII's, as there.
 * Errors: 65 for what is no such text, 66, 74.
 */
export async function readTable(file: string): Promise<Table> {
  const packed = await readWhole(file)
  const bytes = unpacked(file, packed)
  refuseOtherEncodings(file, bytes)
  const rows: TableRow[] = []
  for (const [i, line] of linesOf(bytes).entries()) {
    const fields = decodeText(line).split('\t').map(trimmed)
    if (fields.some((field) => field !== '')) rows.push({ line: i + 1, fields })
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
  const line = linesOf(bytes.subarray(0, nul)).length
  throw new UserError(`${file}: line ${line}: a NUL byte, no text; if this is UTF-16, ${cure}`, exitCodes.data)
}

/** The bytes between line ends, after a byte order mark. */
function linesOf(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = []
  let from = bytes.subarray(0, 3).toString('hex') === 'efbbbf' ? 3 : 0
  for (let i = from; i < bytes.length; i++) {
    if (bytes[i] !== 10 && bytes[i] !== 13) continue
    lines.push(bytes.subarray(from, i))
    if (bytes[i] === 13 && bytes[i + 1] === 10) i++
    from = i + 1
  }
  lines.push(bytes.subarray(from))
  return lines
}
