import type { Weights } from '../layers/params.js'
import type { ModelSpec } from '../spec.js'
import type { Config } from './config.js'
import type { Tensors } from './tensors.js'

/** One public way to store a model. */
export interface Layout {
  readonly name: string
  /** By config and tensor names. */
  recognise(config: Config, tensors: Tensors): boolean
  /** The model in our words, to be checked. Tensor shapes are trusted over config values. Errors: 69. */
  spec(config: Config, tensors: Tensors): Promise<unknown>
  /** The weights by their normalised names (layers/params.ts), each checked against its shape. Errors: 69. */
  weights(tensors: Tensors, spec: ModelSpec, config: Config): Promise<Weights>
}
