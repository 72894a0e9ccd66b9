import type { LogMelSpec, StemSpec } from '../../spec.js'
import { logMelProblem } from '../../tokens/mel-energies.js'
import { complete, oneOf, type Rule, type Rules, real, usage, whole } from '../rules.js'
import { checkStem, common, type TrainSettings } from '../settings.js'

/** What only training on audio has. */
export interface AudioOptions {
  /** Features; what is not given is as in `speechFeatures` (transcription) or `soundFeatures` (classes). */
  log_mel: Partial<LogMelSpec>
  /** Transcription: what one class of the head writes. */
  units: 'characters' | 'words'
  /** Transcription: tokens of the longest n-gram of the texts that the beam search of the finished model knows; 0: none. */
  language: number
  /** How much that counts, and nats added for each token (LanguageSpec). */
  language_weight: number
  language_bonus: number
  /** Augmentation: how many times as fast recordings are played, one of these at random each time. */
  speeds: number[]
  /** Augmentation: up to so many decibels louder or softer. */
  gain: number
  /** Augmentation: the spectrum tilts by up to so many decibels from the lowest band to the highest, as with other microphones. */
  tilt: number
  /**
   * Augmentation: share with noise (white or brown) added, over all and the silence, or over each recording and some time before
   * and after it: a room that opens says nothing.
   */
  noise: number
  /** Least and most decibels between recording and added noise. */
  snr: [number, number]
  /** Augmentation: up to so many seconds of silence before, after and between recordings. */
  silence: number
  /** Augmentation: share of recordings to which others are joined, up to `join_most` in all, to one with all their texts. */
  join: number
  join_most: number
  /** Augmentation: a random window of so many seconds of each recording; 0: all of it; classes only. */
  crop: number
  /** Augmentation (SpecAugment): how many masks over time, and the most seconds of one. */
  time_masks: [number, number]
  /** Augmentation (SpecAugment): how many masks over bands, and the most bands of one. */
  band_masks: [number, number]
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

const pair = (value: [number, number], least: number): Rule<[number, number]> => ({
  value,
  expected: `two numbers from ${least} on`,
  ok: (x) => Array.isArray(x) && x.length === 2 && x.every((y) => typeof y === 'number' && y >= least),
})

const audio: Rules<AudioOptions> = {
  log_mel: { value: {}, expected: 'an object', ok: (x) => typeof x === 'object' && x !== null && !Array.isArray(x) },
  units: oneOf<AudioOptions['units']>('characters', 'words'),
  language: whole(0, 0),
  language_weight: real(0.5, 0, 10),
  language_bonus: real(1, 0, 10),
  speeds: {
    value: [1],
    expected: 'a list of numbers from 0.5 to 2',
    ok: (x) => Array.isArray(x) && x.length > 0 && x.every((y) => typeof y === 'number' && y >= 0.5 && y <= 2),
  },
  gain: real(0, 0, 100),
  tilt: real(0, 0, 100),
  noise: real(0, 0, 1.001),
  snr: pair([5, 40], -40),
  silence: real(0, 0, 60),
  join: real(0, 0, 1.001),
  join_most: whole(6, 2),
  crop: real(0, 0, 3600),
  time_masks: pair([0, 0], 0),
  band_masks: pair([0, 0], 0),
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
export function completeAudioSettings(given: Record<string, unknown>, task: 'transcribe' | 'classify'): AudioSettings {
  const metric = oneOf<TrainSettings['metric']>('cer', 'wer', 'loss')
  const rules: Rules<AudioSettings> = { ...common, ...audio, ...(task === 'transcribe' ? { metric } : {}) }
  const completed = complete<AudioSettings>(rules, given)
  const settings = given.stem === undefined ? { ...completed, stem: defaultStem(task, completed.d_model) } : completed
  if (task === 'transcribe' && settings.crop > 0) throw usage('crop cuts texts off: it is for classes')
  if (task === 'classify' && settings.join > 0) throw usage('join makes texts longer: it is for transcription')
  if (settings.pool === 'flatten') throw usage("the pooling 'flatten' is for records of one length")
  const features = task === 'transcribe' ? speechFeatures : soundFeatures
  const unknown = Object.keys(settings.log_mel).find((key) => !(key in speechFeatures))
  if (unknown)
    throw usage(`unknown training setting log_mel.${unknown}; there are ${Object.keys(speechFeatures).join(', ')}`)
  const log_mel = { ...features, ...settings.log_mel }
  const problem = logMelProblem(log_mel)
  if (problem) throw usage(`training setting ${problem}`)
  checkStem(settings, { width: log_mel.n_mels, name: 'log_mel.n_mels' })
  return { ...settings, log_mel }
}
