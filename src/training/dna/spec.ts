import type { ModelSpec } from '../../spec.js'
import { body, classHead } from '../architecture.js'
import type { DnaSettings } from './settings.js'

/** Bases of the records that a model learns from. */
interface Lengths {
  /** What the pooling `flatten` is made for. */
  longest: number
  shortest: number
}

/** The spec of a fresh classifier of DNA. */
export function classifierSpec(settings: DnaSettings, labels: string[], lengths: Lengths): ModelSpec {
  const { d_model, stem, pool, strand } = settings
  return {
    input: { kind: 'tokens', tokenizer: 'dna', vocab_size: 5 },
    d_embed: stem.length > 0 ? settings.d_embed : d_model,
    ...body(settings),
    head: classHead(labels, pool, lengths.longest),
    strand,
    ...trained(lengths),
  }
}

/** The body of a DNA model with a new classification head. */
export function withClassHead(
  spec: ModelSpec,
  { classes, ...lengths }: Lengths & { classes: string[] },
  { pool, strand }: Pick<DnaSettings, 'pool' | 'strand'>,
): ModelSpec {
  const { reverse_complement: _, ...body } = spec
  return { ...body, head: classHead(classes, pool, lengths.longest, spec.head), strand, ...trained(lengths) }
}

const trained = ({ longest, shortest }: Lengths) => ({ trained_length: longest, trained_shortest: shortest })
