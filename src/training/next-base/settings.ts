import * as v from 'valibot'
import { familyOf } from '../../layers/mixers/registry.js'
import { oneOf, record, whole } from '../../text/schema.js'
import { common, complete, usage } from '../settings.js'

/** What only learning to predict bases has. */
const nextBase = {
  /** Bases that are read at a time: records are cut into windows of so many. */
  window: v.optional(whole(2, 2 ** 24), 1024),
  /** `symmetric`: either strand of each window is read, by chance, and what the model is used for averages both. */
  strand: v.optional(oneOf('stranded', 'symmetric'), 'symmetric'),
}

const schema = record({ ...common, metric: v.optional(oneOf('loss'), 'loss'), ...nextBase })

export type NextBaseSettings = v.InferOutput<typeof schema>

/** All settings of a model that predicts the next base, from those given. Errors: 2, one line that names the setting. */
export function completeNextBase(given: Record<string, unknown>): NextBaseSettings {
  const settings = complete(schema, given)
  if (settings.stem.length > 0) throw usage('a stem joins bases: what predicts each of them has none')
  if (settings.bidirectional || (settings.mixer && !familyOf(settings.mixer).causal(settings.mixer)))
    throw usage('a model that reads both ways would see the base that it is to predict')
  return settings
}
