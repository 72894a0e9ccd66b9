import type { LogMelInput, ModelSpec } from '../../spec.js'
import { AudioExamples } from '../audio/examples.js'
import type { Recordings } from '../audio/recordings.js'
import type { AudioSettings } from '../audio/settings.js'
import { DnaExamples, type Records } from '../dna/records.js'
import type { DnaSettings } from '../dna/settings.js'
import { NextBaseExamples } from '../next-base/examples.js'
import type { TrainSettings } from '../settings.js'
import { TextExamples, type Texts } from '../text/texts.js'
import type { Examples } from './examples.js'

/** A labelled set in shared memory, so that every worker reads the same bytes. */
export type Data = Records | Recordings | Texts

export function examplesOf(data: Data, spec: ModelSpec, settings: TrainSettings): Examples {
  if (data.kind === 'text') return new TextExamples(data)
  if (data.kind !== 'dna') return new AudioExamples(data, spec.input as LogMelInput, settings as AudioSettings)
  if (spec.head?.kind === 'tokens') return new NextBaseExamples(data, spec)
  return new DnaExamples(data, spec, settings as DnaSettings)
}
