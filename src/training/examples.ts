import type { Input } from '../engine/chunk.js'
import type { ModelSpec } from '../spec.js'
import { AudioExamples } from './audio-examples.js'
import type { Random } from './random.js'
import type { Recordings } from './recordings.js'
import { DnaExamples, type Records } from './records.js'
import type { DnaSettings, TrainSettings } from './settings.js'
import type { AudioSettings } from './settings-audio.js'

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

/** A labelled set in shared memory, so that every worker reads the same bytes. */
export type Data = Records | Recordings

export function examplesOf(data: Data, spec: ModelSpec, settings: TrainSettings): Examples {
  return data.kind === 'dna'
    ? new DnaExamples(data, spec, settings as DnaSettings)
    : new AudioExamples(data, spec, settings as AudioSettings)
}

export const countOf = ({ targetOffsets }: Data) => targetOffsets.length - 1

/** What a model should say of record i. */
export const targetOf = ({ targets, targetOffsets }: Data, i: number) =>
  targets.subarray(targetOffsets[i], targetOffsets[i + 1])
