import type { ModelSpec } from '../spec.js'
import { AudioExamples } from './audio-examples.js'
import type { Examples } from './examples.js'
import type { Recordings } from './recordings.js'
import { DnaExamples, type Records } from './records.js'
import type { DnaSettings, TrainSettings } from './settings.js'
import type { AudioSettings } from './settings-audio.js'

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
