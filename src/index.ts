/** The library: `import { openModel } from 'longwave'`. */

export { UserError } from './errors.js'
export { type ForwardOptions, type ForwardResult, type Model, type OpenOptions, openModel } from './model.js'
export type { ModelSpec } from './spec.js'
export type { ModelState } from './state.js'
