import type { RecordBatch } from '../input/dna/records.js'
import type { Part } from './windows.js'

export interface LengthLimits {
  minLength?: number
  maxLength?: number
}

/** Records left out, reported at the end. */
export interface LeftOut {
  tooShort: number
  tooLong: number
  empty: number
}

/**
 * Parts of the records that are long enough, not too long and (with `whole`) known to be good to their end. What cannot
 * be decided yet is held as copies: up to `minLength` tokens, or the record (up to `maxLength`) where its end decides.
 */
export async function* settledParts<Codes extends Uint8Array | Int32Array>(
  batches: AsyncIterable<RecordBatch<Codes>>,
  { minLength = 0, maxLength = Number.POSITIVE_INFINITY }: LengthLimits,
  whole: boolean,
  leftOut: LeftOut,
): AsyncGenerator<Part<Codes>> {
  const holdToEnd = whole || maxLength !== Number.POSITIVE_INFINITY
  let held: Part<Codes>[] = []
  for await (const { codes, pieces } of batches) {
    for (const { record, offset, start, end, first, last, aborted } of pieces) {
      if (first) held = []
      const length = offset + end - start
      if (aborted || length > maxLength) {
        if (last && !aborted) leftOut.tooLong++
        held = []
        continue
      }
      const part = { record, offset, rows: codes.subarray(start, end) as Codes, last }
      if (last && length === 0) leftOut.empty++
      else if (last && length < minLength) leftOut.tooShort++
      else if (last || (!holdToEnd && length >= minLength)) {
        yield* held
        held = []
        yield part
      } else held.push({ ...part, rows: part.rows.slice() as Codes })
    }
  }
}
