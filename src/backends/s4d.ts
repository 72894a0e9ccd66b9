import type { FloatArray } from './backend.js'

/** The parameters of S4D (arXiv 2206.11893) for H channels with M complex modes each, on the host. */
export interface S4dParameters {
  /** [H] */
  log_dt: FloatArray
  /** [H, M]; A = -exp(log_A_real) + i A_imag. */
  log_A_real: FloatArray
  A_imag: FloatArray
  /** [H, M, 2] */
  C: FloatArray
}

/** Complex numbers [H, M, 2]: x' = w x + u and y = Re(sum c x). */
export interface S4dRecurrence {
  w: Float64Array
  c: Float64Array
}

type Complex = readonly [re: number, im: number]

const times = ([a, b]: Complex, [c, d]: Complex): Complex => [a * c - b * d, a * d + b * c]
const conjugate = ([a, b]: Complex): Complex => [a, -b]
function over(x: Complex, [c, d]: Complex): Complex {
  const [re, im] = times(x, [c, -d])
  const size = c * c + d * d
  return [re / size, im / size]
}

/** One mode: A, w = e^(dt A), and (w - 1) / A, by which zero-order hold weighs the input (here 2 C does). */
function mode({ log_dt, log_A_real, A_imag, C }: S4dParameters, h: number, i: number) {
  const dt = Math.exp(log_dt[h])
  const A: Complex = [-Math.exp(log_A_real[i]), A_imag[i]]
  const size = Math.exp(dt * A[0])
  const w: Complex = [size * Math.cos(dt * A[1]), size * Math.sin(dt * A[1])]
  const held = over([w[0] - 1, w[1]], A)
  return { dt, A, w, held, twiceC: [2 * C[2 * i], 2 * C[2 * i + 1]] as const }
}

/** Discretised by zero-order hold; y = 2 Re(sum C (w - 1) / A x), since a mode stands for itself and its conjugate. */
export function discretise(parameters: S4dParameters): S4dRecurrence {
  const modes = parameters.A_imag.length
  const M = modes / parameters.log_dt.length
  const [w, c] = [new Float64Array(2 * modes), new Float64Array(2 * modes)]
  for (let i = 0; i < modes; i++) {
    const one = mode(parameters, Math.floor(i / M), i)
    w.set(one.w, 2 * i)
    c.set(times(one.twiceC, one.held), 2 * i)
  }
  return { w, c }
}

/**
 * Gradients of the parameters from those of w and c [H, M, 2], whose parts are the derivatives by the real and the imaginary part. For
 * f holomorphic the gradient of z is that of f(z) times the conjugate of f'(z).
 */
export function discretiseGradient(parameters: S4dParameters, dw: Float64Array, dc: Float64Array) {
  const [H, modes] = [parameters.log_dt.length, parameters.A_imag.length]
  const into = {
    log_dt: new Float64Array(H),
    log_A_real: new Float64Array(modes),
    A_imag: new Float64Array(modes),
    C: new Float64Array(2 * modes),
  }
  for (let i = 0; i < modes; i++) {
    const h = Math.floor((i * H) / modes)
    const { dt, A, w, held, twiceC } = mode(parameters, h, i)
    const ofC: Complex = [dc[2 * i], dc[2 * i + 1]]
    const [re, im] = times(ofC, conjugate(held))
    into.C.set([2 * re, 2 * im], 2 * i)
    const byHeld = times(ofC, conjugate(twiceC))
    const ofHeld = over(byHeld, conjugate(A)) // through w
    const ofW: Complex = [dw[2 * i] + ofHeld[0], dw[2 * i + 1] + ofHeld[1]]
    const throughA = over(times(byHeld, conjugate(held)), conjugate(A))
    const throughW = times(ofW, conjugate(w))
    into.log_dt[h] += dt * times(throughW, conjugate(A))[0]
    into.log_A_real[i] = (dt * throughW[0] - throughA[0]) * A[0]
    into.A_imag[i] = dt * throughW[1] - throughA[1]
  }
  return into
}
