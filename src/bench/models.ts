import { saveCheckpoint } from '../checkpoints/own.js'
import type { ModelSpec } from '../spec.js'
import { classifierSpec } from '../training/architecture.js'
import { initialise } from '../training/initialise.js'
import { completeSettings } from '../training/settings.js'

/** The shape of a model with random weights: speed does not depend on their values. */
export interface Shape {
  layers: number
  d_model: number
  bidirectional: boolean
}

/** `causal 4 x 128` */
export const shapeName = ({ layers, d_model, bidirectional }: Shape) =>
  `${bidirectional ? 'bidirectional' : 'causal'} ${layers} x ${d_model}`

/** A classifier of this shape with two labels; read-out: the mean over all rows. `length`: bases it is said to be trained on. */
export function randomSpec(shape: Shape, length: number): ModelSpec {
  return classifierSpec(completeSettings({ ...shape }), ['a', 'b'], length)
}

/** Writes such a model to a folder. */
export async function writeRandomModel(folder: string, shape: Shape, length: number): Promise<void> {
  const spec = randomSpec(shape, length)
  await saveCheckpoint(folder, spec, initialise(spec, 1), { name: shapeName(shape) })
}
