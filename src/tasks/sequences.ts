import type { RecordBatch, SequenceRecord } from '../input/records.js'

/** Part of a record: codes A C G T N = 0 to 4. The codes are the reader's: they change when the next part is asked for. */
export interface Part {
  record: SequenceRecord
  /** Bases of the record before this part. */
  offset: number
  codes: Uint8Array
  /** The record ends with this part. */
  last: boolean
}

/** A stretch of a record that is run as one sequence: the whole record or one window of it. */
export interface Stretch {
  record: SequenceRecord
  /** 0-based, half-open, in bases of the record. */
  start: number
  end: number
}

/** A stretch with its codes (its own copy), or a piece of one that is streamed because it may be long. */
export interface StretchPiece {
  stretch: Stretch
  codes: Uint8Array
  continues: boolean
  goesOn: boolean
}

export interface LengthLimits {
  minLength?: number
  maxLength?: number
}

/** Records left out, told at the end. */
export interface LeftOut {
  tooShort: number
  tooLong: number
  empty: number
}

/**
 * Parts of the records that are long enough, not too long and (with `whole`) known to be good to their end. What cannot
 * be decided yet is held as copies: up to `minLength` bases, or the record (up to `maxLength`) where its end decides.
 */
export async function* settledParts(
  batches: AsyncIterable<RecordBatch>,
  { minLength = 0, maxLength = Number.POSITIVE_INFINITY }: LengthLimits,
  whole: boolean,
  leftOut: LeftOut,
): AsyncGenerator<Part> {
  const holdToEnd = whole || maxLength !== Number.POSITIVE_INFINITY
  let held: Part[] = []
  for await (const { codes, pieces } of batches) {
    for (const { record, offset, start, end, first, last, aborted } of pieces) {
      if (first) held = []
      const length = offset + end - start
      if (aborted || length > maxLength) {
        if (last && !aborted) leftOut.tooLong++
        held = []
        continue
      }
      const part = { record, offset, codes: codes.subarray(start, end), last }
      if (last && length === 0) leftOut.empty++
      else if (last && length < minLength) leftOut.tooShort++
      else if (last || (!holdToEnd && length >= minLength)) {
        yield* held
        held = []
        yield part
      } else held.push({ ...part, codes: part.codes.slice() })
    }
  }
}

/**
 * Windows of `size` bases every `stride` bases. The last one is shorter where the record ends (then it is the only one
 * that reaches the end); it is left out below `minLength`.
 */
export async function* windows(
  parts: AsyncIterable<Part>,
  size: number,
  stride: number,
  minLength: number,
): AsyncGenerator<StretchPiece> {
  let start = 0 // of the next window
  let covered = 0 // end of the last window
  let kept = new Uint8Array(0) // codes from `start` on
  const window = (record: SequenceRecord, codes: Uint8Array): StretchPiece => {
    covered = start + codes.length
    const stretch = { record, start, end: covered }
    return { stretch, codes: codes.slice(), continues: false, goesOn: false }
  }
  for await (const { record, offset, codes, last } of parts) {
    if (offset === 0) {
      start = 0
      covered = 0
      kept = new Uint8Array(0)
    }
    // Bases before `start` lie between windows (stride > size).
    const wanted = codes.subarray(Math.min(codes.length, Math.max(0, start - offset)))
    let rest = kept.length > 0 ? join(kept, wanted) : wanted
    while (rest.length >= size) {
      yield window(record, rest.subarray(0, size))
      start += stride
      rest = rest.subarray(Math.min(rest.length, stride))
    }
    const reachesOn = offset + codes.length > covered && rest.length > 0
    if (last && reachesOn && rest.length >= minLength) yield window(record, rest)
    kept = rest.slice()
  }
}

/** Whole records, each in one piece (one byte a base in memory). */
export async function* wholeStretches(parts: AsyncIterable<Part>): AsyncGenerator<StretchPiece> {
  let codes = new Uint8Array(0)
  for await (const part of parts) {
    const length = part.offset + part.codes.length
    if (part.offset === 0 && part.last) codes = part.codes.slice()
    else codes = grow(codes, part.offset, length)
    codes.set(part.codes, part.offset)
    if (!part.last) continue
    const stretch = { record: part.record, start: 0, end: length }
    yield { stretch, codes: codes.length === length ? codes : codes.slice(0, length), continues: false, goesOn: false }
    codes = new Uint8Array(0)
  }
}

/** Whole records; one of more than `chunk` bases comes in pieces of `chunk` bases, so that it is never held. */
export async function* streamedStretches(parts: AsyncIterable<Part>, chunk: number): AsyncGenerator<StretchPiece> {
  let open = new Uint8Array(chunk)
  let used = 0
  let start = 0
  for await (const { record, offset, codes, last } of parts) {
    if (offset === 0) {
      used = 0
      start = 0
    }
    const length = offset + codes.length
    let taken = 0
    while (taken < codes.length) {
      if (used === chunk) {
        yield { stretch: { record, start: 0, end: length }, codes: open, continues: start > 0, goesOn: true }
        start += chunk
        open = new Uint8Array(chunk)
        used = 0
      }
      const some = codes.subarray(taken, taken + chunk - used)
      open.set(some, used)
      used += some.length
      taken += some.length
    }
    if (last) {
      const stretch = { record, start: 0, end: length }
      yield { stretch, codes: open.slice(0, used), continues: start > 0, goesOn: false }
    }
  }
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}

/** `codes[0..used)` with room for `length`, doubling so that a long record is not copied once per part. */
function grow(codes: Uint8Array<ArrayBuffer>, used: number, length: number): Uint8Array<ArrayBuffer> {
  if (codes.length >= length) return codes
  const larger = new Uint8Array(Math.max(length, 2 * codes.length))
  larger.set(codes.subarray(0, used))
  return larger
}
