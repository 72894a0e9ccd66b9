export type Direction = 'forward' | 'reverse'

/** Which rows of a chunk belong to which sequence, and where in it they lie. No segment is empty. */
export interface Segments {
  /**
   * [S + 1] row offsets: segment s is the rows offsets[s] .. offsets[s + 1] - 1 of the chunk. A sequence that is still to be cut may have
   * more of them than an Int32Array can count.
   */
  readonly offsets: Int32Array | Float64Array
  /** [S] rows of the sequence before the segment; 0: it begins here. */
  readonly start: Float64Array
  /** [S] 1: the sequence ends with the segment. */
  readonly ends: Uint8Array
  /** [S] which block of a state tensor the segment reads and writes; -1: none. No two segments of a chunk have the same. */
  readonly slot: Int32Array
  /** [S] what the rows of the segment stand for (text, images ...), for mixers that tell modalities apart; absent: 0 in all. */
  readonly modality?: Int32Array
}

/** Whole sequences, one after the other; offsets [S + 1]. */
export function wholeSegments(offsets: Int32Array): Segments {
  const S = offsets.length - 1
  return { offsets, start: new Float64Array(S), ends: new Uint8Array(S).fill(1), slot: new Int32Array(S).fill(-1) }
}

/** `rows` rows of one sequence after its first `start` rows, with its state in `slot`. */
export function oneSegment(rows: number, start: number, ends: boolean, slot: number): Segments {
  return {
    offsets: Float64Array.of(0, rows),
    start: Float64Array.of(start),
    ends: Uint8Array.of(ends ? 1 : 0),
    slot: Int32Array.of(slot),
  }
}

/** Rows from .. to - 1 of the only segment, with their state in `at`. */
export function pieceOf(
  { offsets, start, ends, slot, modality }: Segments,
  from: number,
  to: number,
  at = slot[0],
): Segments {
  return { ...oneSegment(to - from, start[0] + from, to === offsets[1] && ends[0] === 1, at), modality }
}

/** A segment on its way through an operation that looks across rows. */
export interface Part {
  /** First row in the chunk. */
  from: number
  rows: number
  /** Where its state lies; -1: it has none. */
  slot: number
  /** Starts from the state in its slot, not from zero. */
  resumes: boolean
}

/**
 * The segments in reading order: left to right, or right to left for a reverse pass, which resumes where the sequence goes on to the
 * right. Errors: RangeError for segments that do not fill `rows` rows, and for an empty one.
 */
export function readingOrder(segments: Segments, direction: Direction, rows: number): Part[] {
  const { offsets, start, ends, slot } = segments
  const S = offsets.length - 1
  if (offsets[0] !== 0 || offsets[S] !== rows) throw new RangeError(`segments ${offsets} of ${rows} rows`)
  const forward = direction === 'forward'
  const parts: Part[] = []
  for (let s = 0; s < S; s++) {
    const [from, length] = [offsets[s], offsets[s + 1] - offsets[s]]
    if (length <= 0) throw new RangeError(`segment ${s} of ${S} is empty`)
    parts.push({ from, rows: length, slot: slot[s], resumes: slot[s] >= 0 && (forward ? start[s] > 0 : ends[s] === 0) })
  }
  return forward ? parts : parts.reverse()
}

/** A segment on its way through pooling, where it may be empty: what stood in its slot is then the answer. */
export interface PooledPart extends Part {
  ends: boolean
  /** Rows of the sequence up to the end of the segment. */
  total: number
}

/** Errors: RangeError for segments that do not fill `rows` rows, and for a sequence without any. */
export function poolingOrder({ offsets, start, ends, slot }: Segments, rows: number): PooledPart[] {
  const S = offsets.length - 1
  if (offsets[0] !== 0 || offsets[S] !== rows) throw new RangeError(`segments ${offsets} of ${rows} rows`)
  return Array.from(ends, (end, s) => {
    const length = offsets[s + 1] - offsets[s]
    const resumes = slot[s] >= 0 && start[s] > 0
    if (length < 0 || (length === 0 && !resumes)) throw new RangeError(`segment ${s} of ${S} is empty`)
    const total = length + (resumes ? start[s] : 0)
    return { from: offsets[s], rows: length, slot: slot[s], resumes, ends: end === 1, total }
  })
}

/** How many sequences end in the chunk. */
export const countEnds = ({ ends }: Segments): number => ends.reduce((sum, end) => sum + end, 0)
