/** The library: `import { openModel } from 'longwave'`. */
export { type ForwardOptions, type ForwardResult, type Model, type OpenOptions, openModel } from './model.js'
export { UserError } from './shell/errors.js'
export type { ModelSpec } from './spec.js'
export type { ModelState } from './state.js'
