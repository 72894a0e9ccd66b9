import type { FloatArray } from './backend.js'
import { type Complex, conjugate, type Discretisation, discretise, discretiseGradient, times } from './discretise.js'

/** The parameters of S4D (arXiv 2206.11893) for H channels with M complex modes each, on the host. */
export interface S4dParameters {
  /** [H] */
  log_dt: FloatArray
  /** [H, M]; A = -exp(log_A_real) + i A_imag. */
  log_A_real: FloatArray
  A_imag: FloatArray
  /** [H, M, 2] */
  C: FloatArray
  discretisation: Discretisation
}

/** Complex numbers [H, M, 2]: x' = w x + u and y = Re(sum c x). */
export interface S4dRecurrence {
  w: Float64Array
  c: Float64Array
}

/** One mode, in steps; its output is 2 Re(C held x), since a mode stands for itself and its conjugate. */
function mode({ log_dt, log_A_real, A_imag, C, discretisation }: S4dParameters, h: number, i: number) {
  const dt = Math.exp(log_dt[h])
  const A: Complex = [-Math.exp(log_A_real[i]), A_imag[i]]
  const twiceC: Complex = [2 * C[2 * i], 2 * C[2 * i + 1]]
  return { dt, A, twiceC, step: discretise(A, dt, discretisation) }
}

/** w and c of all modes: c is 2 C held. */
export function recurrenceOf(parameters: S4dParameters): S4dRecurrence {
  const modes = parameters.A_imag.length
  const M = modes / parameters.log_dt.length
  const [w, c] = [new Float64Array(2 * modes), new Float64Array(2 * modes)]
  for (let i = 0; i < modes; i++) {
    const { step, twiceC } = mode(parameters, Math.floor(i / M), i)
    w.set(step.w, 2 * i)
    c.set(times(twiceC, step.held), 2 * i)
  }
  return { w, c }
}

/** Gradients of the parameters from those of w and c [H, M, 2]. */
export function recurrenceGradient(parameters: S4dParameters, dw: Float64Array, dc: Float64Array) {
  const [H, modes] = [parameters.log_dt.length, parameters.A_imag.length]
  const into = {
    log_dt: new Float64Array(H),
    log_A_real: new Float64Array(modes),
    A_imag: new Float64Array(modes),
    C: new Float64Array(2 * modes),
  }
  for (let i = 0; i < modes; i++) {
    const h = Math.floor((i * H) / modes)
    const { dt, A, twiceC, step } = mode(parameters, h, i)
    const ofC: Complex = [dc[2 * i], dc[2 * i + 1]]
    const [re, im] = times(ofC, conjugate(step.held))
    into.C.set([2 * re, 2 * im], 2 * i)
    const through = discretiseGradient(A, dt, step, [dw[2 * i], dw[2 * i + 1]], times(ofC, conjugate(twiceC)))
    into.log_dt[h] += dt * through.dt
    into.log_A_real[i] = through.A[0] * A[0]
    into.A_imag[i] = through.A[1]
  }
  return into
}
