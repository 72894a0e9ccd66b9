import { saveCheckpoint } from '../checkpoints/own.js'
import type { LogMelInput, ModelSpec } from '../spec.js'
import { completeSettings } from '../training/dna/settings.js'
import { classifierSpec } from '../training/dna/spec.js'
import { initialise } from '../training/initialise.js'

/** The shape of a model with random weights: speed does not depend on their values. */
export interface Shape {
  layers: number
  d_model: number
  bidirectional: boolean
}

/** `causal 4 x 128` */
export const shapeName = ({ layers, d_model, bidirectional }: Shape) =>
  `${bidirectional ? 'bidirectional' : 'causal'} ${layers} x ${d_model}`

/**
 * A classifier of this shape with two labels; pooling: the mean over all rows. `length`: bases it is said to be trained
 * on.
 */
export function randomSpec(shape: Shape, length: number): ModelSpec {
  return classifierSpec(completeSettings({ ...shape }), ['a', 'b'], { longest: length, shortest: 1 })
}

/** Writes such a model to a folder. */
export async function writeRandomModel(folder: string, shape: Shape, length: number): Promise<void> {
  const spec = randomSpec(shape, length)
  await saveCheckpoint(folder, spec, initialise(spec, 1), { name: shapeName(shape) })
}

/** 80 bands 100 times a second, as most speech models take them. */
const logMel: LogMelInput = {
  kind: 'log-mel',
  sample_rate: 16_000,
  n_fft: 512,
  window: 400,
  hop: 160,
  n_mels: 80,
  f_min: 60,
  f_max: 7600,
  level: { memory: 10, lookahead: 1, quietest: -70, range: 60, equalise: 20 },
}

/** Writes a model that transcribes, with 32 letters and four frames to a row. */
export async function writeRandomTranscriber(folder: string, shape: Shape): Promise<void> {
  const vocabulary = ['', ' ', ...'abcdefghijklmnopqrstuvwxyz0123']
  const classes = { ...randomSpec(shape, 1), stem: [{ window: 8, stride: 4, d_out: shape.d_model }] }
  const spec: ModelSpec = {
    ...classes,
    input: logMel,
    d_embed: logMel.n_mels,
    head: { kind: 'ctc', vocabulary },
  }
  await saveCheckpoint(folder, spec, initialise(spec, 1), { name: shapeName(shape) })
}
