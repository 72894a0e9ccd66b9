import type { Backend, GatedDeltaArgs, Gradients } from '../backend.js'
import { gatedDeltaShape } from '../gated-delta.js'
import { sigmoid, softplus, softplusSlope } from './activation.js'
import { Matrix, matrix, optional, slots } from './matrix.js'
import { readings } from './segments.js'

/** What row t gives to head h, and the matrices behind it. */
function operands(args: GatedDeltaArgs) {
  const shape = gatedDeltaShape(args)
  const { T, H, G, K, V } = shape
  const [q, k, v] = [matrix(args.q, T, G * K), matrix(args.k, T, G * K), matrix(args.v, T, H * V)]
  const [dt, beta] = [matrix(args.dt, T, H), matrix(args.beta, T, H)]
  const [A_log, dtBias] = [args.A_log, args.dtBias].map((each) => matrix(each, 1, H).row(0))
  const group = (h: number) => Math.floor((h * G) / H)
  const raw = (t: number, h: number) => dt.row(t)[h] + dtBias[h]
  const A = (h: number) => -Math.exp(A_log[h])
  return {
    ...shape,
    group,
    A,
    /** [K] */
    q: (t: number, h: number) => partOf(q, t, group(h), K),
    k: (t: number, h: number) => partOf(k, t, group(h), K),
    /** [V] */
    v: (t: number, h: number) => partOf(v, t, h, V),
    step: (t: number, h: number) => softplus(raw(t, h)),
    stepSlope: (t: number, h: number) => softplusSlope(raw(t, h)),
    decay: (t: number, h: number) => Math.exp(softplus(raw(t, h)) * A(h)),
    beta: (t: number, h: number) => sigmoid(beta.row(t)[h]),
  }
}

type Operands = ReturnType<typeof operands>

/** Part i of a row, in place. */
const partOf = (x: Matrix, t: number, i: number, width: number) => x.row(t).subarray(i * width, (i + 1) * width)

/** [V] = x S, x [K] */
function read(x: Float64Array, S: Matrix): Float64Array {
  const y = new Float64Array(S.cols)
  for (let i = 0; i < S.rows; i++) for (let j = 0; j < S.cols; j++) y[j] += x[i] * S.row(i)[j]
  return y
}

/** What a value is off what the decayed state [K, V] before it has for its key. */
function errors({ k, v, decay }: Operands, t: number, h: number, before: Matrix): Float64Array {
  const [a, known] = [decay(t, h), read(k(t, h), before)]
  return v(t, h).map((value, j) => value - a * known[j])
}

/** state [K, V] of a head goes one step, from one matrix to the other, which may be the same. */
function advance(all: Operands, t: number, h: number, before: Matrix, after: Matrix): void {
  const [a, beta, key] = [all.decay(t, h), all.beta(t, h), all.k(t, h)]
  const error = errors(all, t, h, before)
  for (let i = 0; i < before.rows; i++) {
    const [from, to] = [before.row(i), after.row(i)]
    for (let j = 0; j < from.length; j++) to[j] = a * from[j] + key[i] * beta * error[j]
  }
}

export const gatedDelta: Backend['gatedDelta'] = (args, state) => {
  const all = operands(args)
  const { T, H, K, V } = all
  const states = slots(state, H * K, V)
  const out = new Matrix(T, H * V)
  for (const { rows, row, slot, resumes } of readings(args.segments, args.direction, T))
    for (let h = 0; h < H; h++) {
      const S = new Matrix(K, V)
      if (states && resumes) for (let i = 0; i < K; i++) S.row(i).set(states.row(slot, h * K + i))
      for (let r = 0; r < rows; r++) {
        advance(all, row(r), h, S, S)
        partOf(out, row(r), h, V).set(read(all.q(row(r), h), S))
      }
      if (states && slot >= 0) for (let i = 0; i < K; i++) states.row(slot, h * K + i).set(S.row(i))
    }
  return out
}

export const gatedDeltaGradient: Gradients['gatedDelta'] = (dy, args, into) => {
  const all = operands(args)
  const { T, H, G, K, V, group, A } = all
  const dY = matrix(dy, T, H * V)
  const [dq, dk, dv] = [optional(into.dq, T, G * K), optional(into.dk, T, G * K), optional(into.dv, T, H * V)]
  const [ddt, dbeta] = [optional(into.ddt, T, H), optional(into.dbeta, T, H)]
  const [dA_log, ddtBias] = [optional(into.dA_log, 1, H)?.row(0), optional(into.ddtBias, 1, H)?.row(0)]
  for (const { rows, row } of readings(args.segments, args.direction, T))
    for (let h = 0; h < H; h++) {
      // states[r] is before step r.
      const states = Array.from({ length: rows + 1 }, () => new Matrix(K, V))
      for (let r = 0; r < rows; r++) advance(all, row(r), h, states[r], states[r + 1])
      const dS = new Matrix(K, V)
      for (let r = rows - 1; r >= 0; r--) {
        const t = row(r)
        const [before, after] = [states[r], states[r + 1]]
        const [a, beta, query, key] = [all.decay(t, h), all.beta(t, h), all.q(t, h), all.k(t, h)]
        const [g, error] = [partOf(dY, t, h, V), errors(all, t, h, before)]
        const [toQ, toK] = [dq, dk].map((each) => each && partOf(each, t, group(h), K))
        for (let i = 0; i < K; i++)
          for (let j = 0; j < V; j++) {
            dS.row(i)[j] += query[i] * g[j]
            if (toQ) toQ[i] += after.row(i)[j] * g[j]
          }
        /** Gradient of beta times the error, [V]. */
        const ofWritten = read(key, dS)
        /** Gradients of the decay and of beta. */
        let [ofDecay, ofBeta] = [0, 0]
        for (let j = 0; j < V; j++) {
          ofBeta += ofWritten[j] * error[j]
          if (dv) partOf(dv, t, h, V)[j] += beta * ofWritten[j]
        }
        for (let i = 0; i < K; i++)
          for (let j = 0; j < V; j++) {
            const decayed = a * before.row(i)[j]
            if (toK) toK[i] += dS.row(i)[j] * beta * error[j] - beta * ofWritten[j] * decayed
            const ofDecayed = dS.row(i)[j] - key[i] * beta * ofWritten[j]
            ofDecay += ofDecayed * before.row(i)[j]
            dS.row(i)[j] = a * ofDecayed
          }
        if (dbeta) dbeta.row(t)[h] += ofBeta * beta * (1 - beta)
        // d log a / d A_log = step A
        if (dA_log) dA_log[h] += ofDecay * a * all.step(t, h) * A(h)
        const raw = ofDecay * a * A(h) * all.stepSlope(t, h)
        if (ddt) ddt.row(t)[h] += raw
        if (ddtBias) ddtBias[h] += raw
      }
    }
}
