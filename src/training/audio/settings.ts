import * as v from 'valibot'
import type { LogMelSpec, StemSpec } from '../../spec.js'
import { list, oneOf, positive, real, record, whole } from '../../text/schema.js'
import { logMelSchema, someLogMelSchema } from '../../tokens/log-mel-schema.js'
import { checkStem, classMetric, common, complete, type TrainSettings, textMetric, usage } from '../settings.js'

/** Two numbers. */
const pair = (least: number, most: number) => v.strictTuple([real(least, most), real(least, most)], 'two numbers')

/** What only training on audio has. */
const audio = {
  /** Features; what is not given is as in `speechFeatures` (transcription) or `soundFeatures` (classes). */
  log_mel: v.optional(someLogMelSchema, {}),
  /** Transcription: what one class of the head writes. */
  units: v.optional(oneOf('characters', 'words'), 'characters'),
  /** Transcription: tokens of the longest n-gram of the texts that the beam search of the finished model knows; 0: none. */
  language: v.optional(whole(0, 16), 0),
  /** How much that counts, and nats added for each token (LanguageSpec). */
  language_weight: v.optional(positive(10), 0.5),
  language_bonus: v.optional(real(0, 10), 1),
  /** Augmentation: how many times as fast recordings are played, one of these at random each time. */
  speeds: v.optional(list(real(0.5, 2), { least: 1, most: 16 }), [1]),
  /** Augmentation: up to so many decibels louder or softer. */
  gain: v.optional(real(0, 100), 0),
  /** Augmentation: the spectrum tilts by up to so many decibels from the lowest band to the highest, as with other microphones. */
  tilt: v.optional(real(0, 100), 0),
  /**
   * Augmentation: share with noise (white or brown) added, over all and the silence, or over each recording and some time before
   * and after it: a room that opens says nothing.
   */
  noise: v.optional(real(0, 1), 0),
  /** Least and most decibels between recording and added noise. */
  snr: v.optional(pair(-40, 200), [5, 40]),
  /** Augmentation: up to so many seconds of silence before, after and between recordings. */
  silence: v.optional(real(0, 60), 0),
  /** Augmentation: share of recordings to which others are joined, up to `join_most` in all, to one with all their texts. */
  join: v.optional(real(0, 1), 0),
  join_most: v.optional(whole(2, 1000), 6),
  /** Augmentation: a random window of so many seconds of each recording; 0: all of it; classes only. */
  crop: v.optional(real(0, 3600), 0),
  /** Augmentation (SpecAugment): how many masks over time, and the most seconds of one. */
  time_masks: v.optional(pair(0, 1000), [0, 0]),
  /** Augmentation (SpecAugment): how many masks over bands, and the most bands of one. */
  band_masks: v.optional(pair(0, 1000), [0, 0]),
}

export type AudioOptions = v.InferOutput<v.ObjectSchema<typeof audio, undefined>>

const schemas = {
  classify: record({ ...common, metric: classMetric, ...audio }),
  transcribe: record({ ...common, metric: textMetric, ...audio }),
}

export type AudioSettings = TrainSettings & AudioOptions

/**
 * Speech: nothing above 3,900 Hz, so that recordings at 8 kHz and at 16 kHz look alike, and every band against its own level, which takes
 * out microphone and room.
 */
export const speechFeatures: LogMelSpec = {
  sample_rate: 16_000,
  n_fft: 512,
  window: 400,
  hop: 160,
  n_mels: 40,
  f_min: 60,
  f_max: 3900,
  preemphasis: 0.97,
  tail: 0.4,
  level: { memory: 10, lookahead: 1, quietest: -70, range: 60, equalise: 20 },
}

/** Sounds: the whole spectrum, its shape kept. */
export const soundFeatures: LogMelSpec = {
  sample_rate: 16_000,
  n_fft: 1024,
  window: 640,
  hop: 320,
  n_mels: 48,
  f_min: 50,
  f_max: 8000,
  level: { memory: 10, lookahead: 1, quietest: -70, range: 60 },
}

/**
 * Frames to a row of the blocks: four, at 10 ms (speech) 40 ms and at 20 ms (sounds) 80 ms. The bundled models have these, too:
 * a word needs more of what is about it than a sound.
 */
function defaultStem(task: 'transcribe' | 'classify', d_model: number): StemSpec[] {
  const first = { window: task === 'transcribe' ? 8 : 4, stride: 2, d_out: d_model }
  return [first, { window: 4, stride: 2, d_out: d_model }]
}

/** All settings of an audio model, from those given. Errors: 2, one line that names the setting. */
export function completeAudioSettings(
  given: Record<string, unknown>,
  task: 'transcribe' | 'classify',
): AudioSettings & { log_mel: LogMelSpec } {
  const completed: AudioSettings = complete(schemas[task], given)
  const settings = given.stem === undefined ? { ...completed, stem: defaultStem(task, completed.d_model) } : completed
  if (task === 'transcribe' && settings.crop > 0) throw usage('crop cuts texts off: it is for classes')
  if (task === 'classify' && settings.join > 0) throw usage('join makes texts longer: it is for transcription')
  if (settings.pool === 'flatten') throw usage("the pooling 'flatten' is for records of one length")
  const features = task === 'transcribe' ? speechFeatures : soundFeatures
  const log_mel = complete(logMelSchema, { ...features, ...settings.log_mel }, 'log_mel.')
  checkStem(settings, { width: log_mel.n_mels, name: 'log_mel.n_mels' })
  return { ...settings, log_mel }
}
