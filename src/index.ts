/** The library: `import { openModel } from 'longwave'`. */

export type { ModelState } from './engine/state.js'
export { UserError } from './errors.js'
export type { GivenSequence } from './input/dna/given.js'
export type { GivenText } from './input/lines/read.js'
export type { GivenVariant } from './input/vcf/given.js'
export type { ModelSpec } from './spec.js'
export {
  type ForwardOptions,
  type ForwardResult,
  type Model,
  type OpenOptions,
  openModel,
} from './tasks/model.js'
export type { ModelSession, PushOptions, PushResult, ReadOptions } from './tasks/model-session.js'
export type {
  ClassifiedRow,
  ClassifyOptions,
  EmbeddedRow,
  EmbedOptions,
  GeneratedRow,
  GenerateOptions,
  Inputs,
  ScoredRow,
  ScoreOptions,
  ScoreVariantsOptions,
  TranscribeOptions,
  TranscriptLine,
  VariantRow,
} from './tasks/row-types.js'
