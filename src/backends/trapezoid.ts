import type { FloatArray, TrapezoidArgs } from './backend.js'
import { sigmoid, softplus, softplusSlope } from './reference/activation.js'

export interface TrapezoidShape {
  T: number
  /** Heads, channels and states of each. */
  H: number
  P: number
  N: number
}

/** Errors: RangeError where the heads do not divide what they are parts of. */
export function trapezoidShape({ v, k, dt }: TrapezoidArgs): TrapezoidShape {
  const { rows: T, cols: H } = dt
  const [P, N] = [v.cols / H, k.cols / H]
  if (![P, N].every(Number.isInteger)) throw new RangeError(`${H} heads of ${v.cols} channels and ${k.cols} states`)
  return { T, H, P, N }
}

/** What a head multiplies its state by, what the row before it gives, and what the row itself gives. */
export interface Factors {
  decay: number
  before: number
  now: number
}

/** A row of one head: what its factors are found from, the step before the softplus. */
export interface FactorInputs {
  dt: number
  A: number
  trap: number
}

/** 1 + x, below zero 1 / (1 - x): the slopes on both sides of zero are 1. */
const rateOf = (A: number) => (A >= 0 ? 1 + A : 1 / (1 - A))

export function factorsOf({ dt, A, trap }: FactorInputs, leastRate: number): Factors {
  const [step, share] = [softplus(dt), sigmoid(trap)]
  const decay = Math.exp(-Math.max(rateOf(A), leastRate) * step)
  return { decay, before: (1 - share) * step * decay, now: share * step }
}

/** From the gradients of the factors to those of their inputs. */
export function factorsGradient({ dt, A, trap }: FactorInputs, leastRate: number, d: Factors): FactorInputs {
  const [step, share] = [softplus(dt), sigmoid(trap)]
  const rate = Math.max(rateOf(A), leastRate)
  const decay = Math.exp(-rate * step)
  const ofExponent = (d.decay + d.before * (1 - share) * step) * decay
  const ofStep = d.now * share + d.before * (1 - share) * decay - ofExponent * rate
  const slope = A >= 0 ? 1 : rateOf(A) ** 2
  return {
    dt: ofStep * softplusSlope(dt),
    A: rateOf(A) < leastRate ? 0 : -ofExponent * step * slope,
    trap: (d.now - d.before * decay) * step * share * (1 - share),
  }
}

/** The inputs of head h in row t; `dtBias` [H]. */
export const inputsOf =
  (rowOf: Record<keyof FactorInputs, (t: number) => FloatArray>, dtBias: FloatArray) =>
  (t: number, h: number): FactorInputs => ({
    dt: rowOf.dt(t)[h] + dtBias[h],
    A: rowOf.A(t)[h],
    trap: rowOf.trap(t)[h],
  })
