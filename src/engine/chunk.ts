import type { Segments, Tensor } from '../backends/backend.js'

/**
 * What a network reads: token ids [T], looked up in its embedding, or, of a model without one, the rows themselves [T, d_embed].
 * Where such rows come from is no business of the engine.
 */
export type Input = Int32Array | Float32Array

/** Token rows of several sequences, packed without padding. */
export interface Chunk {
  input: Input
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

/** Inputs of one kind, one after the other; of one there is no copy. */
export function joinInputs(parts: readonly Input[]): Input {
  if (parts.length === 1) return parts[0]
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const all = parts[0] instanceof Float32Array ? new Float32Array(length) : new Int32Array(length)
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
