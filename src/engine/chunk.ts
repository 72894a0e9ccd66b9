import type { Segments, Tensor } from '../backends/backend.js'

/** Token rows of several sequences, packed without padding. */
export interface Chunk {
  /** [T] token ids */
  ids: Int32Array
  segments: Segments
}

/** Sees final hidden rows [T', D] and whose they are, in reading order. */
export type OnRows = (hidden: Tensor, segments: Segments) => Promise<void>

/** One whole sequence of `length` rows. */
export function whole(length: number): Segments {
  return { offsets: Int32Array.of(0, length), continues: false, goesOn: false }
}

/** A piece of one sequence, `from` .. `to` - 1 of `length` rows. */
export function piece(from: number, to: number, length: number): Segments {
  return { offsets: Int32Array.of(0, to - from), continues: from > 0, goesOn: to < length }
}
