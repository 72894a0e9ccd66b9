import type { Backend, Gradients, SsdArgs } from '../backend.js'
import { ssdShape } from '../ssd.js'
import { softplus, softplusSlope } from './activation.js'
import { Matrix, matrix, optional, slots } from './matrix.js'
import { readings } from './segments.js'

/** The arguments as matrices of the right shapes. */
function operands(args: SsdArgs) {
  const shape = ssdShape(args)
  const { T, H, P, G, N } = shape
  const [x, dt] = [matrix(args.x, T, H * P), matrix(args.dt, T, H)]
  const [B, C] = [matrix(args.B, T, G * N), matrix(args.C, T, G * N)]
  const [A_log, D, dtBias] = [args.A_log, args.D, args.dtBias].map((each) => matrix(each, 1, H).row(0))
  const [least, most] = args.dtLimit
  const raw = (t: number, h: number) => dt.row(t)[h] + dtBias[h]
  const soft = (t: number, h: number) => softplus(raw(t, h))
  const group = (h: number) => Math.floor((h * G) / H)
  return {
    ...shape,
    /** [P] */
    x: (t: number, h: number) => x.row(t).subarray(h * P, (h + 1) * P),
    /** [N] */
    B: (t: number, h: number) => partOf(B, t, group(h), N),
    C: (t: number, h: number) => partOf(C, t, group(h), N),
    D,
    group,
    A: (h: number) => -Math.exp(A_log[h]),
    step: (t: number, h: number) => Math.min(Math.max(soft(t, h), least), most),
    stepSlope: (t: number, h: number) => (soft(t, h) >= least && soft(t, h) <= most ? softplusSlope(raw(t, h)) : 0),
  }
}

type Operands = ReturnType<typeof operands>

/** Part i of a row, in place. */
const partOf = (x: Matrix, t: number, i: number, width: number) => x.row(t).subarray(i * width, (i + 1) * width)

/** state [P, N] of a head goes one step, from one matrix to the other, which may be the same. */
function advance({ x, B, A, step }: Operands, t: number, h: number, before: Matrix, after: Matrix): void {
  const dt = step(t, h)
  const decay = Math.exp(dt * A(h))
  const [xs, Bs] = [x(t, h), B(t, h)]
  for (let p = 0; p < before.rows; p++) {
    const [from, to, input] = [before.row(p), after.row(p), dt * xs[p]]
    for (let n = 0; n < from.length; n++) to[n] = decay * from[n] + Bs[n] * input
  }
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i]
  return sum
}

export const ssd: Backend['ssd'] = (args, state) => {
  const all = operands(args)
  const { T, H, P, N, x, C, D } = all
  const states = slots(state, H * P, N)
  const out = new Matrix(T, H * P)
  for (const { rows, row, slot, resumes } of readings(args.segments, args.direction, T))
    for (let h = 0; h < H; h++) {
      const s = new Matrix(P, N)
      if (states && resumes) for (let p = 0; p < P; p++) s.row(p).set(states.row(slot, h * P + p))
      for (let i = 0; i < rows; i++) {
        const t = row(i)
        advance(all, t, h, s, s)
        for (let p = 0; p < P; p++) out.row(t)[h * P + p] = dot(C(t, h), s.row(p)) + D[h] * x(t, h)[p]
      }
      if (states && slot >= 0) for (let p = 0; p < P; p++) states.row(slot, h * P + p).set(s.row(p))
    }
  return out
}

export const ssdGradient: Gradients['ssd'] = (dy, args, into, ends = {}) => {
  const all = operands(args)
  const { T, H, P, G, N, x, B, C, D, A, group, step, stepSlope } = all
  const dY = matrix(dy, T, H * P)
  const dX = optional(into.dx, T, H * P)
  const ddt = optional(into.ddt, T, H)
  const [dB, dC] = [optional(into.dB, T, G * N), optional(into.dC, T, G * N)]
  const [dA_log, dD, ddtBias] = [into.dA_log, into.dD, into.ddtBias].map((each) => optional(each, 1, H)?.row(0))
  const [initial, dInitial, dLast] = [ends.initial, ends.dInitial, ends.dLast].map((each) => optional(each, H * P, N))
  for (const { rows, row } of readings(args.segments, args.direction, T))
    for (let h = 0; h < H; h++) {
      // states[i] is before step i.
      const states = Array.from({ length: rows + 1 }, () => new Matrix(P, N))
      const dS = new Matrix(P, N)
      for (let p = 0; p < P; p++) {
        if (initial) states[0].row(p).set(initial.row(h * P + p))
        if (dLast) dS.row(p).set(dLast.row(h * P + p))
      }
      for (let i = 0; i < rows; i++) advance(all, row(i), h, states[i], states[i + 1])
      for (let i = rows - 1; i >= 0; i--) {
        const t = row(i)
        const dt = step(t, h)
        const decay = Math.exp(dt * A(h))
        const [xs, Bs, Cs] = [x(t, h), B(t, h), C(t, h)]
        /** Gradients of dt x B and of dt A, summed up. */
        let [ofInput, ofDecay] = [0, 0]
        const [dBs, dCs] = [dB, dC].map((each) => each && partOf(each, t, group(h), N))
        for (let p = 0; p < P; p++) {
          const g = dY.row(t)[h * P + p]
          const [before, after, d] = [states[i].row(p), states[i + 1].row(p), dS.row(p)]
          for (let n = 0; n < N; n++) {
            d[n] += g * Cs[n]
            if (dBs) dBs[n] += d[n] * dt * xs[p]
            if (dCs) dCs[n] += g * after[n]
            ofDecay += d[n] * decay * before[n]
          }
          const alongB = dot(d, Bs)
          ofInput += alongB * xs[p]
          if (dX) dX.row(t)[h * P + p] += dt * alongB + g * D[h]
          if (dD) dD[h] += g * xs[p]
          for (let n = 0; n < N; n++) d[n] *= decay
        }
        // d A / d A_log = A
        if (dA_log) dA_log[h] += ofDecay * dt * A(h)
        const raw = (ofInput + ofDecay * A(h)) * stepSlope(t, h)
        if (ddt) ddt.row(t)[h] += raw
        if (ddtBias) ddtBias[h] += raw
      }
      for (let p = 0; dInitial && p < P; p++) {
        const to = dInitial.row(h * P + p)
        for (const [n, d] of dS.row(p).entries()) to[n] += d
      }
    }
}
