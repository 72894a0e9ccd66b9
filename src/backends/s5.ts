import type { FloatArray } from './backend.js'
import { type Complex, discretise, discretiseGradient, type Step } from './discretise.js'

/** The parameters of S5 (arXiv 2208.04933) for P complex modes, on the host. */
export interface S5Parameters {
  /** [P, 2]: real and imaginary part in turn. */
  Lambda: FloatArray
  /** [P] */
  log_step: FloatArray
}

/** Each mode with its step: x = w x + held u. */
export function stepsOf({ Lambda, log_step }: S5Parameters): Step[] {
  return Array.from(log_step, (log, p) => discretise([Lambda[2 * p], Lambda[2 * p + 1]], Math.exp(log), 'zoh'))
}

/** Gradients of the parameters from those of w and held [P, 2]. */
export function s5ParametersGradient({ Lambda, log_step }: S5Parameters, dw: Float64Array, dheld: Float64Array) {
  const into = { Lambda: new Float64Array(Lambda.length), log_step: new Float64Array(log_step.length) }
  const at = (x: FloatArray, p: number): Complex => [x[2 * p], x[2 * p + 1]]
  stepsOf({ Lambda, log_step }).forEach((step, p) => {
    const dt = Math.exp(log_step[p])
    const through = discretiseGradient(at(Lambda, p), dt, step, at(dw, p), at(dheld, p))
    into.Lambda.set(through.A, 2 * p)
    into.log_step[p] = dt * through.dt
  })
  return into
}
