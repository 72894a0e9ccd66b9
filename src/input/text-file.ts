import { gunzipSync } from 'node:zlib'
import { exitCodes, UserError } from '../errors.js'
import { readWhole } from './bytes.js'

/** What unpacks to more than this is no table. */
const mostBytes = 2 ** 30

/**
 * The bytes of a table as they are (`packed`), and its text, unpacked if it was gzip. From a file or a pipe, which is read once. Errors: 65 for
 * what is no UTF-8 or single-byte text, 66, 74.
 */
export async function readTextFile(file: string): Promise<{ packed: Buffer; bytes: Buffer }> {
  const packed = await readWhole(file)
  const bytes = unpacked(file, packed)
  refuseOtherEncodings(file, bytes)
  return { packed, bytes }
}

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
export function* linesOf(bytes: Buffer): Generator<{ line: number; text: Buffer }> {
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
