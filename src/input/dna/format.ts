import { constants, gunzipSync } from 'node:zlib'
import { isGzip, refuseForeign } from '../format.js'
import { FileProblem } from '../problem.js'
import type { Collector } from './collector.js'
import { FastaParser, type Parser } from './fasta.js'
import { FastqParser } from './fastq.js'
import { JsonLinesParser } from './jsonlines.js'
import { nameByte } from './letters.js'
import { PlainLinesParser } from './plain-lines.js'

/** Bytes of a UTF-8 byte order mark at the start. */
export const markLength = (block: Uint8Array) => (block[0] === 0xef && block[1] === 0xbb && block[2] === 0xbf ? 3 : 0)

/** Whether a file of a folder holds records: FASTA, FASTQ or JSON lines with an id and a seq, plain or gzip. */
export function holdsRecords(head: Uint8Array): boolean {
  try {
    const bytes = isGzip(head) ? gunzipSync(head, { finishFlush: constants.Z_SYNC_FLUSH }) : head
    refuseForeign('', bytes)
    const text = Buffer.from(bytes.subarray(markLength(bytes)))
      .toString('latin1')
      .trimStart()
    return /^[>;@]/.test(text) || /^\{.*"id"\s*:.*"seq"\s*:/.test(text)
  } catch {
    return false
  }
}

/** Picks the parser by the first byte that is not blank, which stands at `line`; `lines`: DNA without headers is read, too. */
export function parserFor(byte: number, line: number, out: Collector, lines = false): Parser {
  const letter = String.fromCharCode(byte)
  if (letter === '>' || letter === ';') return new FastaParser(out, line)
  if (letter === '@') return new FastqParser(out, line)
  if (letter === '{') return new JsonLinesParser(out, line)
  if (lines) return new PlainLinesParser(out, line)
  throw new FileProblem(`line ${line}: expected '>' (FASTA), '@' (FASTQ) or '{' (JSON lines), not ${nameByte(byte)}`)
}
