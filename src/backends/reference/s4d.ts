import type { Backend, Gradients, S4dArgs } from '../backend.js'
import { recurrenceGradient, recurrenceOf } from '../s4d.js'
import { Matrix, matrix, optional, slots } from './matrix.js'
import { readings } from './segments.js'

/** The arguments as matrices of the right shapes. */
function operands(args: S4dArgs) {
  const [T, H, M] = [args.u.rows, args.u.cols, args.A_imag.cols]
  const numbers = (x: S4dArgs['u'], rows: number, cols: number) => {
    const X = matrix(x, rows, cols)
    return Float64Array.from({ length: rows * cols }, (_, i) => X.row(Math.floor(i / cols))[i % cols])
  }
  const parameters = {
    log_dt: numbers(args.log_dt, 1, H),
    log_A_real: numbers(args.log_A_real, H, M),
    A_imag: numbers(args.A_imag, H, M),
    C: numbers(args.C, H, 2 * M),
    discretisation: args.discretisation,
  }
  return { T, H, M, u: matrix(args.u, T, H), D: matrix(args.D, 1, H).row(0), parameters, ...recurrenceOf(parameters) }
}

/** x [2 M] of a channel goes one step. */
function step(x: Float64Array, w: Float64Array, u: number): void {
  for (let m = 0; m < x.length; m += 2) {
    const re = w[m] * x[m] - w[m + 1] * x[m + 1] + u
    x[m + 1] = w[m] * x[m + 1] + w[m + 1] * x[m]
    x[m] = re
  }
}

export const s4d: Backend['s4d'] = (args, state) => {
  const { T, H, M, u, D, w, c } = operands(args)
  const states = slots(state, H, 2 * M)
  const out = new Matrix(T, H)
  for (const { rows, row, slot, resumes } of readings(args.segments, args.direction, T))
    for (let h = 0; h < H; h++) {
      const [wh, ch] = [w, c].map((all) => all.subarray(2 * M * h, 2 * M * (h + 1)))
      const x = states && resumes ? states.row(slot, h).slice() : new Float64Array(2 * M)
      for (let t = 0; t < rows; t++) {
        const now = u.row(row(t))[h]
        step(x, wh, now)
        let y = D[h] * now
        for (let m = 0; m < 2 * M; m += 2) y += ch[m] * x[m] - ch[m + 1] * x[m + 1]
        out.row(row(t))[h] = y
      }
      if (states && slot >= 0) states.row(slot, h).set(x)
    }
  return out
}

export const s4dGradient: Gradients['s4d'] = (dy, args, into) => {
  const { T, H, M, u, D, w, c, parameters } = operands(args)
  const dY = matrix(dy, T, H)
  const du = optional(into.du, T, H)
  const dD = optional(into.dD, 1, H)
  const [dw, dc] = [new Float64Array(2 * M * H), new Float64Array(2 * M * H)]
  for (const { rows, row } of readings(args.segments, args.direction, T))
    for (let h = 0; h < H; h++) {
      const at = 2 * M * h
      const [wh, ch] = [w, c].map((all) => all.subarray(at, at + 2 * M))
      // x[t + 1] is the state after step t.
      const x = new Matrix(rows + 1, 2 * M)
      for (let t = 0; t < rows; t++) {
        x.row(t + 1).set(x.row(t))
        step(x.row(t + 1), wh, u.row(row(t))[h])
      }
      const dx = new Float64Array(2 * M)
      for (let t = rows - 1; t >= 0; t--) {
        const g = dY.row(row(t))[h]
        const now = u.row(row(t))[h]
        if (dD) dD.row(0)[h] += g * now
        let gu = g * D[h]
        for (let m = 0; m < 2 * M; m += 2) {
          const [before, after] = [x.row(t), x.row(t + 1)]
          dc[at + m] += g * after[m]
          dc[at + m + 1] -= g * after[m + 1]
          dx[m] += g * ch[m]
          dx[m + 1] -= g * ch[m + 1]
          gu += dx[m]
          dw[at + m] += dx[m] * before[m] + dx[m + 1] * before[m + 1]
          dw[at + m + 1] += dx[m + 1] * before[m] - dx[m] * before[m + 1]
          const re = wh[m] * dx[m] + wh[m + 1] * dx[m + 1]
          dx[m + 1] = wh[m] * dx[m + 1] - wh[m + 1] * dx[m]
          dx[m] = re
        }
        if (du) du.row(row(t))[h] += gu
      }
    }
  const gradient = recurrenceGradient(parameters, dw, dc)
  const add = (x: Matrix | null, values: Float64Array) => {
    values.forEach((value, i) => {
      if (x) x.row(Math.floor(i / x.cols))[i % x.cols] += value
    })
  }
  add(optional(into.dlog_dt, 1, H), gradient.log_dt)
  add(optional(into.dlog_A_real, H, M), gradient.log_A_real)
  add(optional(into.dA_imag, H, M), gradient.A_imag)
  add(optional(into.dC, H, 2 * M), gradient.C)
}
