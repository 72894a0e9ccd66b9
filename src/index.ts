/** The library: `import { openModel } from 'longwave'`. */

export type { ModelState } from './engine/state.js'
export { UserError } from './errors.js'
export type { ModelSpec } from './spec.js'
export {
  type ForwardOptions,
  type ForwardResult,
  type Model,
  type ModelSession,
  type OpenOptions,
  openModel,
  type PushResult,
  type ReadOptions,
} from './tasks/model.js'
