import * as v from 'valibot'
import { width } from '../../layers/layer-schemas.js'
import { oneOf, record, share, whole } from '../../text/schema.js'
import { checkStem, classMetric, common, complete, usage } from '../settings.js'

/** What only training on DNA has. */
const dna = {
  /** Width of the embedding; without a stem it is d_model. */
  d_embed: v.optional(width, 16),
  strand: v.optional(oneOf('stranded', 'symmetric'), 'stranded'),
  /** Augmentation: share of bases replaced by another. */
  substitutions: v.optional(share, 0),
  /** Augmentation: a random window of this many bases of each record; 0: the whole record. */
  crop: v.optional(whole(0), 0),
  /** Augmentation: the record slides by up to this many bases either way, N fills the gap. */
  shift: v.optional(whole(0), 0),
  /** Augmentation: share of records whose one end, up to a random place, is taken from another record of the class. */
  crossover: v.optional(share, 0),
}

export type DnaOptions = v.InferOutput<v.ObjectSchema<typeof dna, undefined>>

const schema = record({ ...common, metric: classMetric, ...dna })

export type DnaSettings = v.InferOutput<typeof schema>

/** All settings of a classifier of DNA from those given. Errors: 2, one line that names the setting. */
export function completeSettings(given: Record<string, unknown>): DnaSettings {
  const settings = complete(schema, given)
  checkStem(settings)
  const { crop, shift, pool } = settings
  if (crop > 0 && (pool === 'center' || pool === 'flatten'))
    throw usage(`crop moves records about, which the pooling '${pool}' cannot follow; use shift`)
  if (crop > 0 && shift > 0) throw usage('crop and shift exclude each other')
  return settings
}
