import type { Backend, Gradients, ScanArgs } from '../backend.js'
import { silu, siluSlope, softplus, softplusSlope } from './activation.js'
import { Matrix, matrix, optional, slots } from './matrix.js'
import { readings } from './segments.js'

/** The arguments as matrices of the right shapes. */
function operands(args: ScanArgs) {
  const A_log = matrix(args.A_log)
  const E = A_log.rows
  const N = A_log.cols
  const T = args.u.rows
  const G = args.B.cols / N
  if (!Number.isInteger(G)) throw new Error(`B has ${args.B.cols} columns, no multiple of ${N} states`)
  const u = matrix(args.u, T, E)
  const dt = matrix(args.dt, T, E)
  const B = matrix(args.B, T, G * N)
  const C = matrix(args.C, T, G * N)
  const D = optional(args.D, 1, E)
  const z = optional(args.z, T, E)
  const dtBias = optional(args.dtBias, 1, E)
  const A = (e: number, n: number) => -Math.exp(A_log.data[e * A_log.stride + n])
  /** First column of the group of channel e in B and C. */
  const group = (e: number) => Math.floor((e * G) / E) * N
  const rawStep = (t: number, e: number) => dt.data[t * dt.stride + e] + (dtBias ? dtBias.data[e] : 0)
  const step = (t: number, e: number) => (args.softplus ? softplus(rawStep(t, e)) : rawStep(t, e))
  const stepSlope = (t: number, e: number) => (args.softplus ? softplusSlope(rawStep(t, e)) : 1)
  return { T, E, N, G, u, B, C, D, z, A, group, step, stepSlope }
}

export const selectiveScan: Backend['selectiveScan'] = (args, state, addTo) => {
  const { T, E, N, u, B, C, D, z, A, group, step } = operands(args)
  const states = slots(state, E, N)
  const out = addTo ? matrix(addTo, T, E) : new Matrix(T, E)
  for (const { rows: length, row, slot, resumes } of readings(args.segments, args.direction, T))
    for (let e = 0; e < E; e++) {
      const h = states && resumes ? states.row(slot, e).slice() : new Float64Array(N)
      for (let t = 0; t < length; t++) {
        const r = row(t)
        const dt = step(r, e)
        const ue = u.data[r * u.stride + e]
        let y = D ? D.data[e] * ue : 0
        for (let n = 0; n < N; n++) {
          h[n] = Math.exp(dt * A(e, n)) * h[n] + dt * B.data[r * B.stride + group(e) + n] * ue
          y += C.data[r * C.stride + group(e) + n] * h[n]
        }
        out.data[r * out.stride + e] += z ? y * silu(z.data[r * z.stride + e]) : y
      }
      if (states && slot >= 0) states.row(slot, e).set(h)
    }
  return out
}

export const selectiveScanGradient: Gradients['selectiveScan'] = (dy, args, into, dState) => {
  const { T, E, N, G, u, B, C, D, z, A, group, step, stepSlope } = operands(args)
  const dY = matrix(dy, T, E)
  const dh0 = optional(dState, E, N)
  const du = optional(into.du, T, E)
  const ddt = optional(into.ddt, T, E)
  const dA_log = optional(into.dA_log, E, N)
  const dB = optional(into.dB, T, G * N)
  const dC = optional(into.dC, T, G * N)
  const dD = optional(into.dD, 1, E)
  const dz = optional(into.dz, T, E)
  const ddtBias = optional(into.ddtBias, 1, E)
  for (const { rows: length, row } of readings(args.segments, args.direction, T))
    for (let e = 0; e < E; e++) {
      // h[t + 1] is the state after step t.
      const h = new Matrix(length + 1, N)
      for (let t = 0; t < length; t++) {
        const r = row(t)
        const dt = step(r, e)
        for (let n = 0; n < N; n++)
          h.data[(t + 1) * N + n] =
            Math.exp(dt * A(e, n)) * h.data[t * N + n] +
            dt * B.data[r * B.stride + group(e) + n] * u.data[r * u.stride + e]
      }
      const dh = dh0 ? dh0.row(e).slice() : new Float64Array(N)
      for (let t = length - 1; t >= 0; t--) {
        const r = row(t)
        const dt = step(r, e)
        const ue = u.data[r * u.stride + e]
        let g = dY.data[r * dY.stride + e]
        if (z) {
          const ze = z.data[r * z.stride + e]
          let y = D ? D.data[e] * ue : 0
          for (let n = 0; n < N; n++) y += C.data[r * C.stride + group(e) + n] * h.data[(t + 1) * N + n]
          if (dz) dz.data[r * dz.stride + e] += g * y * siluSlope(ze)
          g *= silu(ze)
        }
        let gu = D ? g * D.data[e] : 0
        let gdt = 0
        if (dD) dD.data[e] += g * ue
        for (let n = 0; n < N; n++) {
          const at = group(e) + n
          const b = B.data[r * B.stride + at]
          const decay = Math.exp(dt * A(e, n))
          const before = h.data[t * N + n]
          if (dC) dC.data[r * dC.stride + at] += g * h.data[(t + 1) * N + n]
          dh[n] += g * C.data[r * C.stride + at]
          if (dB) dB.data[r * dB.stride + at] += dh[n] * dt * ue
          gu += dh[n] * dt * b
          gdt += dh[n] * (A(e, n) * decay * before + b * ue)
          // dA_log = dA A, because A = -exp(A_log).
          if (dA_log) dA_log.data[e * dA_log.stride + n] += dh[n] * dt * decay * before * A(e, n)
          dh[n] *= decay
        }
        if (du) du.data[r * du.stride + e] += gu
        const raw = gdt * stepSlope(r, e)
        if (ddt) ddt.data[r * ddt.stride + e] += raw
        if (ddtBias) ddtBias.data[e] += raw
      }
    }
}
