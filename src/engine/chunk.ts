import type { FloatArray } from '../backends/backend.js'
import type { Segments } from '../backends/segments.js'

/**
 * What a network reads: token ids [T], looked up in its embedding, or rows [T, d_embed] where it has none. Blocks further on read the
 * residual stream, rows [T', D].
 */
export type Input = Int32Array | FloatArray

/** Token rows of several sequences, packed without padding. */
export interface Chunk {
  input: Input
  segments: Segments
  /** One for each row that is read: the id whose probability is asked for; -1: none. */
  targets?: Int32Array
}

/** Inputs of one kind, one after the other; of one there is no copy. */
export function joinInputs(parts: readonly Input[]): Input {
  if (parts.length === 1) return parts[0]
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const all = parts[0] instanceof Int32Array ? new Int32Array(length) : new Float32Array(length)
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
