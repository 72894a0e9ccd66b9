import type { Backend, Gradients, TrapezoidArgs } from '../backend.js'
import { type Factors, factorsGradient, factorsOf, inputsOf, trapezoidShape } from '../trapezoid.js'
import { Matrix, matrix, optional, slots } from './matrix.js'
import { readings } from './segments.js'

/** The arguments as matrices of the right shapes. */
function operands(args: TrapezoidArgs) {
  const shape = trapezoidShape(args)
  const { T, H, P, N } = shape
  const [v, k, q] = [matrix(args.v, T, H * P), matrix(args.k, T, H * N), matrix(args.q, T, H * N)]
  const [dt, A, trap] = [args.dt, args.A, args.trap].map((each) => matrix(each, T, H))
  const [D, dtBias] = [args.D, args.dtBias].map((each) => matrix(each, 1, H).row(0))
  const rowOf = { dt: (t: number) => dt.row(t), A: (t: number) => A.row(t), trap: (t: number) => trap.row(t) }
  const inputs = inputsOf(rowOf, dtBias)
  return {
    ...shape,
    /** [P] */
    v: (t: number, h: number) => partOf(v, t, h, P),
    /** [N] */
    k: (t: number, h: number) => partOf(k, t, h, N),
    q: (t: number, h: number) => partOf(q, t, h, N),
    D,
    inputs,
    factors: (t: number, h: number) => factorsOf(inputs(t, h), args.leastRate),
  }
}

/** Part i of a row, in place. */
const partOf = (x: Matrix, t: number, i: number, width: number) => x.row(t).subarray(i * width, (i + 1) * width)

/** Values and keys of a row. */
interface Given {
  v: Float64Array
  k: Float64Array
}

/** state [P, N] goes one step, from one matrix to the other, which may be the same. */
function advance({ decay, before, now }: Factors, past: Given, given: Given, from: Matrix, to: Matrix): void {
  for (let p = 0; p < from.rows; p++)
    for (let n = 0; n < from.cols; n++)
      to.row(p)[n] = decay * from.row(p)[n] + before * past.v[p] * past.k[n] + now * given.v[p] * given.k[n]
}

const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, x, i) => sum + x * b[i], 0)

export const trapezoid: Backend['trapezoid'] = (args, state) => {
  const all = operands(args)
  const { T, H, P, N, v, k, q, D, factors } = all
  const [ssm, ks, vs] = [
    slots(state?.ssm ?? null, H * P, N),
    slots(state?.k ?? null, H, N),
    slots(state?.v ?? null, H, P),
  ]
  const out = new Matrix(T, H * P)
  for (const { rows, row, slot, resumes } of readings(args.segments, 'forward', T))
    for (let h = 0; h < H; h++) {
      const s = new Matrix(P, N)
      let past: Given = { v: new Float64Array(P), k: new Float64Array(N) }
      if (ssm && ks && vs && resumes) {
        for (let p = 0; p < P; p++) s.row(p).set(ssm.row(slot, h * P + p))
        past = { v: vs.row(slot, h).slice(), k: ks.row(slot, h).slice() }
      }
      for (let i = 0; i < rows; i++) {
        const t = row(i)
        const given = { v: v(t, h), k: k(t, h) }
        advance(factors(t, h), past, given, s, s)
        for (let p = 0; p < P; p++) out.row(t)[h * P + p] = dot(s.row(p), q(t, h)) + D[h] * given.v[p]
        past = given
      }
      if (ssm && ks && vs && slot >= 0) {
        for (let p = 0; p < P; p++) ssm.row(slot, h * P + p).set(s.row(p))
        ks.row(slot, h).set(past.k)
        vs.row(slot, h).set(past.v)
      }
    }
  return out
}

export const trapezoidGradient: Gradients['trapezoid'] = (dy, args, into) => {
  const all = operands(args)
  const { T, H, P, N, v, k, q, D, factors, inputs } = all
  const dY = matrix(dy, T, H * P)
  // What is not asked for is found all the same.
  const [dV, dK, dQ] = [
    optional(into.dv, T, H * P) ?? new Matrix(T, H * P),
    optional(into.dk, T, H * N) ?? new Matrix(T, H * N),
    optional(into.dq, T, H * N) ?? new Matrix(T, H * N),
  ]
  const [ddt, dA, dtrap] = [into.ddt, into.dA, into.dtrap].map((each) => optional(each, T, H))
  const [dD, ddtBias] = [into.dD, into.ddtBias].map((each) => optional(each, 1, H)?.row(0))
  for (const { rows, row } of readings(args.segments, 'forward', T))
    for (let h = 0; h < H; h++) {
      const nothing = { v: new Float64Array(P), k: new Float64Array(N) }
      const given = (i: number): Given => (i < 0 ? nothing : { v: v(row(i), h), k: k(row(i), h) })
      // states[i] is before step i.
      const states = Array.from({ length: rows + 1 }, () => new Matrix(P, N))
      for (let i = 0; i < rows; i++) advance(factors(row(i), h), given(i - 1), given(i), states[i], states[i + 1])
      const dS = new Matrix(P, N)
      for (let i = rows - 1; i >= 0; i--) {
        const t = row(i)
        const { decay, before, now } = factors(t, h)
        const [past, here] = [given(i - 1), given(i)]
        const [dv, dk, dq] = [partOf(dV, t, h, P), partOf(dK, t, h, N), partOf(dQ, t, h, N)]
        const [dvPast, dkPast] =
          i > 0 ? [partOf(dV, t - 1, h, P), partOf(dK, t - 1, h, N)] : [nothing.v.slice(), nothing.k.slice()]
        const d: Factors = { decay: 0, before: 0, now: 0 }
        for (let p = 0; p < P; p++) {
          const [g, ds] = [dY.row(t)[h * P + p], dS.row(p)]
          for (let n = 0; n < N; n++) {
            ds[n] += g * q(t, h)[n]
            dq[n] += g * states[i + 1].row(p)[n]
            dk[n] += ds[n] * now * here.v[p]
            dkPast[n] += ds[n] * before * past.v[p]
          }
          const [ofNow, ofBefore] = [dot(ds, here.k), dot(ds, past.k)]
          dv[p] += now * ofNow + D[h] * g
          dvPast[p] += before * ofBefore
          d.now += here.v[p] * ofNow
          d.before += past.v[p] * ofBefore
          d.decay += dot(ds, states[i].row(p))
          if (dD) dD[h] += g * here.v[p]
          for (let n = 0; n < N; n++) ds[n] *= decay
        }
        const raw = factorsGradient(inputs(t, h), args.leastRate, d)
        if (ddt) ddt.row(t)[h] += raw.dt
        if (ddtBias) ddtBias[h] += raw.dt
        if (dA) dA.row(t)[h] += raw.A
        if (dtrap) dtrap.row(t)[h] += raw.trap
      }
    }
}
