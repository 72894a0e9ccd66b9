import type { Tensor, TrapezoidArgs, TrapezoidGradients, TrapezoidState } from '../backend.js'
import { type Part, readingOrder } from '../segments.js'
import { factorsGradient, factorsOf, inputsOf, trapezoidShape } from '../trapezoid.js'
import { expectState, firstRow, stateOf } from './segments.js'
import {
  addNumbers,
  at,
  CpuTensor,
  cpu,
  expectShape,
  freeTensor,
  hostRows,
  type Machine,
  newTensor,
  withScratch,
} from './tensor.js'

/** See `Backend.trapezoid`. */
export function trapezoid(machine: Machine, args: TrapezoidArgs, state: TrapezoidState | null): CpuTensor {
  const { T, H, P, N } = checkTrapezoid(args)
  const { kernels } = machine
  const parts = readingOrder(args.segments, 'forward', T)
  expectState('trapezoid state', state?.ssm ?? null, H * P, N, parts)
  expectState('trapezoid keys', state?.k ?? null, H, N, parts)
  expectState('trapezoid values', state?.v ?? null, H, P, parts)
  const y = newTensor(machine, T, H * P)
  const factors = factorsFor(machine, args)
  withScratch(machine, H * (P * N + P + N) * 4, (room) => {
    for (const part of parts) {
      const places = [
        { at: stateOf(state?.ssm ?? null, part, H * P) || room, bytes: H * P * N * 4 },
        { at: stateOf(state?.v ?? null, part, H) || room + H * P * N * 4, bytes: H * P * 4 },
        { at: stateOf(state?.k ?? null, part, H) || room + H * P * (N + 1) * 4, bytes: H * N * 4 },
      ]
      if (!state || part.slot < 0 || !part.resumes) for (const place of places) kernels.clear(place)
      const [h, lastV, lastK] = places.map((place) => place.at)
      kernels.trapezoidRows({
        ...operands(args, part, factors),
        ...{ h, lastV, lastK },
        out: firstRow(y, part, 'forward'),
        outStep: y.step,
      })
    }
  })
  freeTensor(machine, factors)
  return y
}

/** See `Gradients.trapezoid`. */
export function trapezoidGradient(machine: Machine, dy: Tensor, args: TrapezoidArgs, into: TrapezoidGradients): void {
  const { T, H, P, N } = checkTrapezoid(args)
  const { kernels } = machine
  for (const one of [dy, into.dv]) expectShape('gradient', one, T, H * P)
  for (const one of [into.dk, into.dq]) expectShape('gradient of k or q', one, T, H * N)
  for (const one of [into.ddt, into.dA, into.dtrap]) expectShape('gradient of dt, A or trap', one, T, H)
  for (const one of [into.dD, into.ddtBias]) expectShape('gradient of a head', one, 1, H)
  const parts = readingOrder(args.segments, 'forward', T)
  const longest = parts.reduce((most, { rows }) => Math.max(most, rows), 1)
  const factors = factorsFor(machine, args)
  const dfactors = newTensor(machine, T, 3 * H)
  const width = H * Math.max(P, N)
  const nothing = newTensor(machine, 1, width)
  // All its rows are the same one.
  const nowhere = new CpuTensor(newTensor(machine, 1, width).at, T, 0, 0, true)
  const adjoint = newTensor(machine, P, N)
  const room = newTensor(machine, 1, kernels.trapezoidBlocks({ rows: longest, P, N }) / 4)
  const [d, dv, dk, dq] = [dy, into.dv, into.dk, into.dq].map((x) => cpu(x ?? nowhere))
  try {
    kernels.clear({ at: nothing.at, bytes: width * 4 })
    for (const part of parts)
      kernels.trapezoidGrad({
        ...operands(args, part, factors),
        dy: firstRow(d, part, 'forward'),
        dyStep: d.step,
        dv: firstRow(dv, part, 'forward'),
        dvStep: dv.step,
        dk: firstRow(dk, part, 'forward'),
        dkStep: dk.step,
        dq: firstRow(dq, part, 'forward'),
        dqStep: dq.step,
        dD: at(into.dD ?? nowhere),
        dfactors: firstRow(dfactors, part, 'forward'),
        nothing: nothing.at,
        adjoint: adjoint.at,
        room: room.at,
      })
    addInputsGradient(machine, args, dfactors, into)
  } finally {
    for (const x of [factors, dfactors, nothing, nowhere, adjoint, room]) freeTensor(machine, x)
  }
}

/** From the gradients of the factors, [T, H 3], to those of what they are found from. */
function addInputsGradient(machine: Machine, args: TrapezoidArgs, dfactors: Tensor, into: TrapezoidGradients): void {
  const { rows: T, cols: H } = args.dt
  const inputs = hostInputs(machine, args)
  const rowOf = hostRows(machine, dfactors)
  const [ddt, dA, dtrap] = [0, 1, 2].map(() => new Float64Array(T * H))
  const ddtBias = new Float64Array(H)
  for (let t = 0; t < T; t++)
    for (let h = 0; h < H; h++) {
      const [decay, before, now] = rowOf(t).subarray(3 * h, 3 * h + 3)
      const d = factorsGradient(inputs(t, h), args.leastRate, { decay, before, now })
      ddt[t * H + h] = d.dt
      dA[t * H + h] = d.A
      dtrap[t * H + h] = d.trap
      ddtBias[h] += d.dt
    }
  addNumbers(machine, into.ddt, ddt)
  addNumbers(machine, into.dA, dA)
  addNumbers(machine, into.dtrap, dtrap)
  addNumbers(machine, into.ddtBias, ddtBias)
}

/** [T, H 3]: found in float64 on the host, a few numbers for the thousands of states of a head. */
function factorsFor(machine: Machine, args: TrapezoidArgs): CpuTensor {
  const { rows: T, cols: H } = args.dt
  const factors = newTensor(machine, T, 3 * H)
  const inputs = hostInputs(machine, args)
  const { f32 } = machine.memory
  for (let t = 0, to = factors.at / 4; t < T; t++)
    for (let h = 0; h < H; h++, to += 3) {
      const { decay, before, now } = factorsOf(inputs(t, h), args.leastRate)
      f32[to] = decay
      f32[to + 1] = before
      f32[to + 2] = now
    }
  return factors
}

function hostInputs(machine: Machine, { dt, A, trap, dtBias }: TrapezoidArgs) {
  const rowOf = { dt: hostRows(machine, dt), A: hostRows(machine, A), trap: hostRows(machine, trap) }
  return inputsOf(rowOf, hostRows(machine, dtBias)(0))
}

/** What the kernels have in common. */
function operands(args: TrapezoidArgs, part: Part, factors: CpuTensor) {
  const { H, P, N } = trapezoidShape(args)
  const [v, k, q] = [args.v, args.k, args.q].map(cpu)
  return {
    rows: part.rows,
    ...{ H, P, N },
    v: firstRow(v, part, 'forward'),
    vStep: v.step,
    k: firstRow(k, part, 'forward'),
    kStep: k.step,
    q: firstRow(q, part, 'forward'),
    qStep: q.step,
    factors: firstRow(factors, part, 'forward'),
    D: at(args.D),
  }
}

/** Checks all shapes. */
function checkTrapezoid(args: TrapezoidArgs) {
  const shape = trapezoidShape(args)
  const { T, H, P, N } = shape
  expectShape('v', args.v, T, H * P)
  for (const one of [args.k, args.q]) expectShape('k or q', one, T, H * N)
  for (const one of [args.A, args.trap]) expectShape('A or trap', one, T, H)
  for (const one of [args.D, args.dtBias]) expectShape('D or dtBias', one, 1, H)
  return shape
}
