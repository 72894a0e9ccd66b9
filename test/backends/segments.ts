import { type Segments, wholeSegments } from '../../src/backends/segments.js'

const offsetsOf = (lengths: readonly number[]) =>
  Int32Array.from([0, ...lengths.map((_, s) => lengths.slice(0, s + 1).reduce((a, b) => a + b))])

/** Whole sequences one after the other. */
export const segmentsOf = (lengths: readonly number[]): Segments => wholeSegments(offsetsOf(lengths))

/** The middles of sequences one after the other, their states in slots that are counted from the last. */
export const middlesOf = (lengths: readonly number[]): Segments => ({
  offsets: offsetsOf(lengths),
  start: Float64Array.from(lengths, (_, s) => 60 * (s + 1)),
  ends: new Uint8Array(lengths.length),
  slot: Int32Array.from(lengths, (_, s) => lengths.length - 1 - s),
})

/** Rows from .. to - 1 of sequences one after the other, cut where they are; each has the slot of its number. */
export function cutSegments(lengths: readonly number[], from: number, to: number): Segments {
  const offsets = offsetsOf(lengths)
  const inside = [...lengths.keys()].filter((s) => offsets[s] < to && offsets[s + 1] > from)
  return {
    offsets: Int32Array.from([from, ...inside.map((s) => Math.min(to, offsets[s + 1]))], (row) => row - from),
    start: Float64Array.from(inside, (s) => Math.max(0, from - offsets[s])),
    ends: Uint8Array.from(inside, (s) => (offsets[s + 1] <= to ? 1 : 0)),
    slot: Int32Array.from(inside),
  }
}
