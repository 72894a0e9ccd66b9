import { complete, oneOf, type Rules, real, usage, whole } from '../rules.js'
import { checkStem, common, type TrainSettings } from '../settings.js'

/** What only training on DNA has. */
export interface DnaOptions {
  /** Width of the embedding; without a stem it is d_model. */
  d_embed: number
  strand: 'symmetric' | 'stranded'
  /** Augmentation: share of bases replaced by another. */
  substitutions: number
  /** Augmentation: a random window of this many bases of each record; 0: the whole record. */
  crop: number
  /** Augmentation: the record slides by up to this many bases either way, N fills the gap. */
  shift: number
  /** Augmentation: share of records whose one end, up to a random place, is taken from another record of the class. */
  crossover: number
}

export type DnaSettings = TrainSettings & DnaOptions

const dna: Rules<DnaOptions> = {
  d_embed: whole(16, 1),
  strand: oneOf<DnaOptions['strand']>('stranded', 'symmetric'),
  substitutions: real(0, 0, 1),
  crop: whole(0, 0),
  shift: whole(0, 0),
  crossover: real(0, 0, 1),
}

/** All settings of a classifier of DNA from those given. Errors: 2, one line that names the setting. */
export function completeSettings(given: Record<string, unknown>): DnaSettings {
  const settings = complete<DnaSettings>({ ...common, ...dna }, given)
  checkStem(settings)
  const { crop, shift, pool } = settings
  if (crop > 0 && (pool === 'center' || pool === 'flatten'))
    throw usage(`crop moves records about, which the pooling '${pool}' cannot follow; use shift`)
  if (crop > 0 && shift > 0) throw usage('crop and shift exclude each other')
  return settings
}
