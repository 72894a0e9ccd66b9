import type { Activation, Backend, Combination, Gradients, Tensor } from '../backend.js'
import { Matrix, matrix } from './matrix.js'

export const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))
export const silu = (x: number) => x * sigmoid(x)
export const siluSlope = (x: number) => sigmoid(x) * (1 + x * (1 - sigmoid(x)))

/** log(1 + exp(x)), the identity above 20 as in the official Mamba code. */
export const softplus = (x: number) => (x > 20 ? x : Math.log1p(Math.exp(x)))
export const softplusSlope = (x: number) => (x > 20 ? 1 : sigmoid(x))

const sigmoidSlope = (x: number) => sigmoid(x) * (1 - sigmoid(x))

/** The error function, by the series 2 / sqrt(pi) e^-x^2 sum 2^n x^(2n + 1) / (2n + 1)!!, whose terms all have one sign. */
export function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x)
  let sum = 0
  for (let n = 0, term = x; sum + term !== sum; n++, term *= (2 * x * x) / (2 * n + 1)) sum += term
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum
}

const normalCdf = (x: number) => 0.5 * (1 + erf(x / Math.SQRT2))
const gelu = (x: number) => x * normalCdf(x)
const geluSlope = (x: number) => normalCdf(x) + (x * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI)

/** The fixed point of Klambauer et al. 2017. */
const [lambda, alpha] = [1.0507009873554805, 1.6732632423543772]
const selu = (x: number) => lambda * (x > 0 ? x : alpha * Math.expm1(x))
const seluSlope = (x: number) => lambda * (x > 0 ? 1 : alpha * Math.exp(x))

const functions = { silu, gelu, selu, none: (x: number) => x }
const slopes = { silu: siluSlope, gelu: geluSlope, selu: seluSlope, none: () => 1 }

export const activated = (x: number, how: Activation) => functions[how](x)
export const slope = (x: number, how: Activation) => slopes[how](x)

/** out[r, c] = f(r, c) over the whole of `out`. */
export function fill(out: Matrix, f: (r: number, c: number) => number): Matrix {
  for (let r = 0; r < out.rows; r++) for (let c = 0; c < out.cols; c++) out.data[r * out.stride + c] = f(r, c)
  return out
}

/** out[r, c] += f(r, c); no output, no work. */
export function addInto(out: Tensor | null, rows: number, cols: number, f: (r: number, c: number) => number): void {
  if (!out) return
  const o = matrix(out, rows, cols)
  fill(o, (r, c) => o.data[r * o.stride + c] + f(r, c))
}

export const activate: Backend['activate'] = (x, how) => {
  const X = matrix(x)
  return fill(new Matrix(X.rows, X.cols), (r, c) => activated(X.data[r * X.stride + c], how))
}

export const activateGradient: Gradients['activate'] = (dy, x, how, dx) => {
  const X = matrix(x)
  const dY = matrix(dy, X.rows, X.cols)
  addInto(dx, X.rows, X.cols, (r, c) => dY.data[r * dY.stride + c] * slope(X.data[r * X.stride + c], how))
}

/** What a is multiplied by. */
const factor = (b: number, how: Combination) => (how === 'gate' ? silu(b) : how === 'glu' ? sigmoid(b) : b)
const factorSlope = (b: number, how: Combination) =>
  how === 'gate' ? siluSlope(b) : how === 'glu' ? sigmoidSlope(b) : 1

export const combine: Backend['combine'] = (a, b, how) => {
  const A = matrix(a)
  const B = matrix(b, A.rows, A.cols)
  return fill(new Matrix(A.rows, A.cols), (r, c) => {
    const p = A.data[r * A.stride + c]
    const q = B.data[r * B.stride + c]
    return how === 'add' ? p + q : p * factor(q, how)
  })
}

export const combineGradient: Gradients['combine'] = (dy, a, b, how, { da, db }) => {
  const A = matrix(a)
  const { rows, cols } = A
  const B = matrix(b, rows, cols)
  const dY = matrix(dy, rows, cols)
  addInto(da, rows, cols, (r, c) => {
    const q = B.data[r * B.stride + c]
    return dY.data[r * dY.stride + c] * (how === 'add' ? 1 : factor(q, how))
  })
  addInto(db, rows, cols, (r, c) => {
    const p = A.data[r * A.stride + c]
    const q = B.data[r * B.stride + c]
    return dY.data[r * dY.stride + c] * (how === 'add' ? 1 : p * factorSlope(q, how))
  })
}

export const scale: Backend['scale'] = (x, factor) => {
  const X = matrix(x)
  return fill(new Matrix(X.rows, X.cols), (r, c) => factor * X.row(r)[c])
}

export const scaleGradient: Gradients['scale'] = (dy, factor, dx) => {
  const dY = matrix(dy)
  addInto(dx, dY.rows, dY.cols, (r, c) => factor * dY.row(r)[c])
}
