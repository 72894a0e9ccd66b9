import { type Input, joinInputs } from '../../engine/chunk.js'
import type { Random } from '../../runtime/random.js'

/** Whole segments, ready for a network, and what it should say of each. */
export interface Batch {
  input: Input
  /** [S + 1], in token rows. */
  offsets: Int32Array
  /** Per record: one class, or the tokens of its text. */
  targets: Int32Array[]
}

/** The records of a set, as batches. */
export interface Examples {
  /** Ways to read a record whose logits are averaged (strands). */
  readonly views: number
  /** The records as they are. */
  plain(indexes: ArrayLike<number>, view?: number): Batch
  /** The records changed at random, for training. */
  augmented(indexes: ArrayLike<number>, random: Random): Batch
}

/** Inputs of whole records, packed, with the token rows at which each begins. `width`: numbers per token row. */
export function joined(parts: readonly Input[], width: number): { input: Input; offsets: Int32Array } {
  const offsets = new Int32Array(parts.length + 1)
  for (const [s, part] of parts.entries()) offsets[s + 1] = offsets[s] + part.length / width
  return { input: joinInputs(parts), offsets }
}
