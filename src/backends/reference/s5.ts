import type { Backend, Gradients, S5Args } from '../backend.js'
import { type Complex, conjugate, times } from '../discretise.js'
import { s5ParametersGradient, stepsOf } from '../s5.js'
import { Matrix, matrix, optional, slots } from './matrix.js'
import { readings } from './segments.js'

/** The arguments as matrices of the right shapes. */
function operands({ u, Lambda, log_step }: S5Args) {
  const [T, P] = [u.rows, log_step.cols]
  const rows = matrix(Lambda, P, 2)
  const parameters = {
    Lambda: Float64Array.from({ length: 2 * P }, (_, i) => rows.row(i >> 1)[i & 1]),
    log_step: matrix(log_step, 1, P).row(0),
  }
  return { T, P, u: matrix(u, T, 2 * P), parameters, steps: stepsOf(parameters) }
}

const at = (x: Float64Array, p: number): Complex => [x[2 * p], x[2 * p + 1]]
function add(x: Float64Array, p: number, [re, im]: Complex): void {
  x[2 * p] += re
  x[2 * p + 1] += im
}

export const s5: Backend['s5'] = (args, state) => {
  const { T, P, u, steps } = operands(args)
  const states = slots(state, P, 2)
  const out = new Matrix(T, 2 * P)
  for (const { rows, row, slot, resumes } of readings(args.segments, args.direction, T)) {
    steps.forEach(({ w, held }, p) => {
      let x: Complex = states && resumes ? at(states.row(slot, p), 0) : [0, 0]
      for (let t = 0; t < rows; t++) {
        const [kept, fresh] = [times(w, x), times(held, at(u.row(row(t)), p))]
        x = [kept[0] + fresh[0], kept[1] + fresh[1]]
        out.row(row(t)).set(x, 2 * p)
      }
      if (states && slot >= 0) states.row(slot, p).set(x)
    })
  }
  return out
}

export const s5Gradient: Gradients['s5'] = (dy, args, into) => {
  const { T, P, u, parameters, steps } = operands(args)
  const dY = matrix(dy, T, 2 * P)
  const du = optional(into.du, T, 2 * P)
  const [dw, dheld] = [new Float64Array(2 * P), new Float64Array(2 * P)]
  const states = matrix(s5(args, null))
  for (const { rows, row } of readings(args.segments, args.direction, T))
    steps.forEach(({ w, held }, p) => {
      let dx: Complex = [0, 0]
      for (let t = rows - 1; t >= 0; t--) {
        const [through, direct] = [times(dx, conjugate(w)), at(dY.row(row(t)), p)]
        dx = [through[0] + direct[0], through[1] + direct[1]]
        if (t > 0) add(dw, p, times(dx, conjugate(at(states.row(row(t - 1)), p))))
        add(dheld, p, times(dx, conjugate(at(u.row(row(t)), p))))
        if (du) add(du.row(row(t)), p, times(dx, conjugate(held)))
      }
    })
  const gradient = s5ParametersGradient(parameters, dw, dheld)
  const [dLambda, dlog_step] = [optional(into.dLambda, P, 2), optional(into.dlog_step, 1, P)]
  for (let p = 0; p < P; p++) {
    if (dLambda) add(dLambda.row(p), 0, at(gradient.Lambda, p))
    if (dlog_step) dlog_step.row(0)[p] += gradient.log_step[p]
  }
}
