import { exitCodes, UserError } from '../../errors.js'

/** A record as its header names it. One object per record: pieces of the same record share it. */
export interface SequenceRecord {
  /** The header up to the first white space; '' where the header is empty. */
  id: string
  file: string
  /** Line of the header, from 1. */
  line: number
  /** It is computed without waiting for records to be computed with it. */
  urgent?: boolean
}

const lengthOfNames = 120

/** An id in a message. */
export function nameId(id: string): string {
  if (id === '') return '(no name)'
  return id.length > lengthOfNames ? `${id.slice(0, lengthOfNames)}...` : id
}

/** A run of bases of one record: `codes[start..end)` of its batch. */
export interface Piece {
  record: SequenceRecord
  /** Bases of the record before this piece; exact above 2^31. */
  offset: number
  start: number
  end: number
  /** The record starts with this piece. */
  first: boolean
  /** The record ends with this piece; its length is `offset + end - start`. */
  last: boolean
  /** The record turned out bad after earlier pieces of it were handed out: drop all of it. Only with `last`. */
  aborted: boolean
}

/**
 * What one block of input holds: pieces in the order of the input. At most the first piece continues a record and at
 * most the last one goes on in the next batch. `codes` (A C G T N = 0 to 4) is overwritten by the next batch: copy what
 * you keep.
 */
export interface RecordBatch<Codes extends Uint8Array | Int32Array = Uint8Array> {
  codes: Codes
  pieces: Piece[]
}

/** A record held in memory as a whole. */
export interface WholeRecord extends SequenceRecord {
  /** [length] codes A C G T N = 0 to 4, the record's own copy. */
  codes: Uint8Array
}

/**
 * Whole records out of batches, for short records that are wanted one by one. A record longer than `maxLength` is an
 * error (UserError 65): long records are to be read piece by piece.
 */
export async function* wholeRecords(
  batches: AsyncIterable<RecordBatch>,
  maxLength = 2 ** 30,
): AsyncGenerator<WholeRecord> {
  let parts: Uint8Array[] = []
  for await (const { codes, pieces } of batches) {
    for (const { record, offset, start, end, first, last, aborted } of pieces) {
      const length = offset + end - start
      if (length > maxLength) {
        const place = `${record.file}: record ${nameId(record.id)}, line ${record.line}`
        throw new UserError(`${place}: longer than ${maxLength} bases`, exitCodes.data)
      }
      if (first) parts = []
      parts.push(codes.slice(start, end))
      if (!last) continue
      if (!aborted) yield { ...record, codes: parts.length === 1 ? parts[0] : join(parts, length) }
      parts = []
    }
  }
}

function join(parts: Uint8Array[], length: number): Uint8Array {
  const codes = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    codes.set(part, at)
    at += part.length
  }
  return codes
}
