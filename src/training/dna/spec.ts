import type { ModelSpec } from '../../spec.js'
import { body, classHead } from '../architecture.js'
import type { DnaSettings } from './settings.js'

/** The spec of a fresh classifier of DNA. `length` (bases): what the pooling `flatten` is made for. */
export function classifierSpec(settings: DnaSettings, labels: string[], length: number): ModelSpec {
  const { d_model, stem, pool, strand } = settings
  return {
    input: { kind: 'tokens', tokenizer: 'dna', vocab_size: 5 },
    d_embed: stem.length > 0 ? settings.d_embed : d_model,
    ...body(settings),
    head: classHead(labels, pool, length),
    strand,
    trained_length: length,
  }
}

/** The body of a DNA model with a new classification head. */
export function withClassHead(
  spec: ModelSpec,
  labels: string[],
  length: number,
  { pool, strand }: Pick<DnaSettings, 'pool' | 'strand'>,
): ModelSpec {
  const { reverse_complement: _, ...body } = spec
  return { ...body, head: classHead(labels, pool, length), strand, trained_length: length }
}
