import { constants } from 'node:buffer'
import type { SequenceRecord } from '../input/dna/records.js'

/** Token rows, `width` numbers each: codes A C G T N = 0 to 4 of DNA or ids of text, one a row, or features of audio. */
export type Numbers = Uint8Array | Int32Array | Float32Array

/** Part of a record. The rows are the reader's: they change when the next part is asked for. */
export interface Part<N extends Numbers> {
  record: SequenceRecord
  /** Rows of the record before this part. */
  offset: number
  rows: N
  /** The record ends with this part. */
  last: boolean
}

/** A span of a record that is run as one sequence: the whole record or one window of it. */
export interface Span {
  record: SequenceRecord
  /** 0-based, half-open, in bases (rows) of the record, or in seconds of a recording. */
  start: number
  end: number
}

/** A span with its rows (its own copy), or a piece of one that is streamed because it may be long. */
export interface SpanPiece<N extends Numbers> {
  span: Span
  rows: N
  /** Rows of the span before this piece. */
  start: number
  /** The span ends with it. */
  ends: boolean
}

/** Makes an array of the kind of `kind`. */
export type Fresh<N extends Numbers> = (kind: N, length: number) => N

/** How records become sequences. */
export interface Cutting<N extends Numbers> {
  /** Numbers of a row. */
  width: number
  /** Rows; each window is a sequence of its own. */
  window?: number
  /** Default: the windows lie side by side. */
  stride?: number
  /** Rows; a last window that is shorter is left out, unless it is the only one, and `tooShort` called. */
  minLength?: number
  tooShort?: () => void
  /** Rows in a piece of a record that is streamed; absent: records are needed whole. */
  piece?: number
  /** Rows of a sequence that are held whole at the most; of a longer one there are none. */
  most?: number
  /** Makes the arrays of such pieces and of windows. */
  fresh?: Fresh<N>
}

/** Windows of records, or whole records, in pieces where they can be streamed. */
export function spansOf<N extends Numbers>(
  parts: AsyncIterable<Part<N>>,
  { width, window, stride, minLength = 0, tooShort, piece, most, fresh }: Cutting<N>,
): AsyncGenerator<SpanPiece<N>> {
  if (window !== undefined) return windows(parts, window, stride ?? window, minLength, width, fresh, tooShort, most)
  return piece === undefined ? wholeSpans(parts, width, most) : streamedSpans(parts, piece, width, fresh)
}

/**
 * Windows of `size` rows every `stride` rows. The last one is shorter where the record ends (then it is the only one
 * that reaches the end); it is left out below `minLength` rows, unless the record has no other. One of more than `most` rows comes without
 * them, for whoever says that it is too long, and is the last of its record.
 */
export async function* windows<N extends Numbers>(
  parts: AsyncIterable<Part<N>>,
  size: number,
  stride: number,
  minLength: number,
  width = 1,
  fresh: Fresh<N> = like,
  tooShort = () => {},
  most = Number.POSITIVE_INFINITY,
): AsyncGenerator<SpanPiece<N>> {
  let start = 0 // of the next window
  let covered = 0 // end of the last window
  let held: N | null = null // the first `used` numbers are the rows from `start` on
  let used = 0
  let over = false // a window was too long
  const window = (record: SequenceRecord, all: N, from: number, to: number): SpanPiece<N> => {
    covered = start + (to - from) / width
    over = to - from > most * width
    const rows = all.subarray(from, over ? from : to) as N
    const copy = fresh(rows, rows.length)
    copy.set(rows)
    return { span: { record, start, end: covered }, rows: copy, start: 0, ends: true }
  }
  for await (const { record, offset, rows, last } of parts) {
    if (offset === 0) {
      start = 0
      covered = 0
      used = 0
      over = false
    }
    if (over) continue
    // Rows before `start` lie between windows (stride > size).
    const wanted = rows.subarray(Math.max(0, start - offset) * width)
    held ??= like(rows, 0)
    if (size <= most || used + wanted.length <= most * width) {
      held = grown(held, used, used + wanted.length)
      held.set(wanted, used)
    }
    used += wanted.length
    let from = 0
    while (used - from >= size * width && !over) {
      yield window(record, held, from, from + size * width)
      start += stride
      from += stride * width
    }
    from = Math.min(from, used)
    const reachesOn = offset + rows.length / width > covered && used > from
    if (last && reachesOn && !over) {
      if (start === 0 || used - from >= minLength * width) yield window(record, held, from, used)
      else tooShort()
    }
    held.copyWithin(0, from, used)
    used -= from
  }
}

/** Whole records, each in one piece; one of more than `most` rows without them, for whoever says that it is too long. */
export async function* wholeSpans<N extends Numbers>(
  parts: AsyncIterable<Part<N>>,
  width = 1,
  most = Number.POSITIVE_INFINITY,
): AsyncGenerator<SpanPiece<N>> {
  let all: N | null = null
  for await (const { record, offset, rows, last } of parts) {
    const length = offset * width + rows.length
    if (length > most * width) all = like(rows, 0)
    else if (all === null || offset === 0) all = rows.slice() as N
    else {
      all = grown(all, offset * width, length)
      all.set(rows, offset * width)
    }
    if (!last) continue
    const span = { record, start: 0, end: length / width }
    const exact = (all.length > length ? all.slice(0, length) : all) as N
    yield { span, rows: exact, start: 0, ends: true }
    all = null
  }
}

/**
 * Whole records; one of more than `size` rows comes in pieces of `size` rows, so that it is never held. `fresh` makes
 * their arrays.
 */
export async function* streamedSpans<N extends Numbers>(
  parts: AsyncIterable<Part<N>>,
  size: number,
  width = 1,
  fresh: Fresh<N> = like,
): AsyncGenerator<SpanPiece<N>> {
  let open: N | null = null
  let used = 0
  let start = 0
  for await (const { record, offset, rows, last } of parts) {
    open ??= fresh(rows, size * width)
    if (offset === 0) {
      used = 0
      start = 0
    }
    const end = offset + rows.length / width
    let taken = 0
    while (taken < rows.length) {
      if (used === open.length) {
        yield { span: { record, start: 0, end }, rows: open, start, ends: false }
        start += size
        open = fresh(rows, size * width)
        used = 0
      }
      const some = rows.subarray(taken, taken + open.length - used)
      open.set(some, used)
      used += some.length
      taken += some.length
    }
    if (last) {
      const span = { record, start: 0, end }
      yield { span, rows: open.slice(0, used) as N, start, ends: true }
    }
  }
}

/** An empty array of the same kind. */
const like = <N extends Numbers>(rows: N, length: number): N => new (rows.constructor as new (n: number) => N)(length)

/** `numbers[0..used)` with room for `length`, doubling so that a long record is not copied once per part. */
function grown<N extends Numbers>(numbers: N, used: number, length: number): N {
  if (numbers.length >= length) return numbers
  const larger = like(numbers, Math.max(length, Math.min(2 * numbers.length, constants.MAX_LENGTH)))
  larger.set(numbers.subarray(0, used))
  return larger
}
