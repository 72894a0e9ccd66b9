import type { Tensor, TurnsArgs, TurnsGradients } from '../backend.js'
import { softplus } from '../reference/activation.js'
import { readingOrder } from '../segments.js'
import { addTurnsGradient, turnsShape } from '../turns.js'
import { expectState, firstRow, stateOf } from './segments.js'
import {
  addNumbers,
  type CpuTensor,
  cpu,
  expectShape,
  freeTensor,
  hostRows,
  type Machine,
  newTensor,
  withScratch,
} from './tensor.js'

/** See `Backend.turns`. */
export function turns(machine: Machine, args: TurnsArgs, state: Tensor | null): CpuTensor {
  const { T, H, S, A } = checkTurns(args)
  const { kernels, memory } = machine
  const parts = readingOrder(args.segments, 'forward', T)
  expectState('turns state', state, H, S, parts)
  const angles = cpu(args.angles)
  const y = newTensor(machine, T, H * 2 * S)
  withScratch(machine, (T + S) * H * 4, (steps) => {
    const room = steps + T * H * 4
    const raw = rawSteps(machine, args)
    for (let t = 0; t < T; t++)
      memory.f32.set(
        raw(t).map((dt) => Math.PI * softplus(dt)),
        steps / 4 + t * H,
      )
    for (const part of parts) {
      const carried = stateOf(state, part, H)
      const sums = carried || room
      if (!part.resumes || !carried) kernels.clear({ at: sums, bytes: H * S * 4 })
      kernels.turnRows({
        rows: part.rows,
        ...{ H, S, A },
        angles: firstRow(angles, part, 'forward'),
        anglesStep: angles.step,
        steps: steps + part.from * H * 4,
        sums,
        out: firstRow(y, part, 'forward'),
        outStep: y.step,
      })
    }
  })
  return y
}

/** See `Gradients.turns`. The turns are computed once more. */
export function turnsGradient(machine: Machine, dy: Tensor, args: TurnsArgs, into: TurnsGradients): void {
  const shape = checkTurns(args)
  const { T, H, S, A } = shape
  expectShape('gradient', dy, T, H * 2 * S)
  const y = turns(machine, args, null)
  const raw = rawSteps(machine, args)
  const rowOf = {
    angles: hostRows(machine, args.angles),
    y: hostRows(machine, y),
    dy: hostRows(machine, dy),
    dt: raw,
    steps: (t: number) => raw(t).map(softplus),
  }
  const sums = { angles: new Float64Array(T * A * S), dt: new Float64Array(T * H), dtBias: new Float64Array(H) }
  for (const part of readingOrder(args.segments, 'forward', T)) addTurnsGradient(part, shape, rowOf, sums)
  freeTensor(machine, y)
  addNumbers(machine, into.dangles, sums.angles)
  addNumbers(machine, into.ddt, sums.dt)
  addNumbers(machine, into.ddtBias, sums.dtBias)
}

/** Steps of a row before the softplus, in float64. */
function rawSteps(machine: Machine, { dt, dtBias }: TurnsArgs): (t: number) => Float64Array {
  const [rowOf, bias] = [hostRows(machine, dt), hostRows(machine, dtBias)(0)]
  return (t) => Float64Array.from(rowOf(t), (step, h) => step + bias[h])
}

/** Checks all shapes. */
function checkTurns(args: TurnsArgs) {
  const shape = turnsShape(args)
  expectShape('angles', args.angles, shape.T, shape.A * shape.S)
  expectShape('dtBias', args.dtBias, 1, shape.H)
  return shape
}
