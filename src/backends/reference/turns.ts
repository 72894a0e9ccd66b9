import type { Backend, Gradients, TurnsArgs } from '../backend.js'
import { addTurnsGradient, turnsShape } from '../turns.js'
import { addInto, softplus } from './activation.js'
import { Matrix, matrix, slots } from './matrix.js'
import { readings } from './segments.js'

/** The arguments as matrices of the right shapes. */
function operands(args: TurnsArgs) {
  const shape = turnsShape(args)
  const { T, H, S, A } = shape
  const [angles, dt, bias] = [matrix(args.angles, T, A * S), matrix(args.dt, T, H), matrix(args.dtBias, 1, H).row(0)]
  const raw = (t: number) => dt.row(t).map((step, h) => step + bias[h])
  return { shape, angles, raw, steps: (t: number) => raw(t).map(softplus) }
}

const whole = 2 * Math.PI

export const turns: Backend['turns'] = (args, state) => {
  const { shape, angles, steps } = operands(args)
  const { T, H, S, A } = shape
  const states = slots(state, H, S)
  const out = new Matrix(T, H * 2 * S)
  for (const { rows, row, slot, resumes } of readings(args.segments, 'forward', T)) {
    const sums = new Matrix(H, S)
    if (states && resumes) for (let h = 0; h < H; h++) sums.row(h).set(states.row(slot, h))
    for (let i = 0; i < rows; i++) {
      const t = row(i)
      for (const [h, step] of steps(t).entries()) {
        const group = Math.floor((h * A) / H) * S
        for (let s = 0; s < S; s++) {
          const sum = sums.row(h)[s] + Math.PI * Math.tanh(angles.row(t)[group + s]) * step
          sums.row(h)[s] = sum - whole * Math.floor(sum / whole)
          out.row(t)[2 * h * S + s] = Math.cos(sum)
          out.row(t)[(2 * h + 1) * S + s] = Math.sin(sum)
        }
      }
    }
    if (states && slot >= 0) for (let h = 0; h < H; h++) states.row(slot, h).set(sums.row(h))
  }
  return out
}

export const turnsGradient: Gradients['turns'] = (dy, args, into) => {
  const { shape, angles, raw, steps } = operands(args)
  const { T, H, S, A } = shape
  const [y, dY] = [matrix(turns(args, null)), matrix(dy, T, H * 2 * S)]
  const rowOf = {
    angles: (t: number) => angles.row(t),
    y: (t: number) => y.row(t),
    dy: (t: number) => dY.row(t),
    dt: raw,
    steps,
  }
  const sums = { angles: new Float64Array(T * A * S), dt: new Float64Array(T * H), dtBias: new Float64Array(H) }
  for (const part of readings(args.segments, 'forward', T)) addTurnsGradient(part, shape, rowOf, sums)
  addInto(into.dangles, T, A * S, (t, i) => sums.angles[t * A * S + i])
  addInto(into.ddt, T, H, (t, h) => sums.dt[t * H + h])
  addInto(into.ddtBias, 1, H, (_, h) => sums.dtBias[h])
}
