import type { SsdArgs, SsdEnds, SsdGradients, Tensor } from '../backend.js'
import { type Part, readingOrder } from '../segments.js'
import { ssdShape } from '../ssd.js'
import { expectState, firstRow, stateOf, stepOf } from './segments.js'
import { at, CpuTensor, cpu, expectShape, freeTensor, type Machine, newTensor, withScratch } from './tensor.js'

/** See `Backend.ssd`. */
export function ssd(machine: Machine, args: SsdArgs, state: Tensor | null): CpuTensor {
  const { T, H, P, N } = checkSsd(args)
  const parts = readingOrder(args.segments, args.direction, T)
  expectState('ssd state', state, H * P, N, parts)
  const y = newTensor(machine, T, H * P)
  withScratch(machine, H * P * N * 4, (room) => {
    for (const part of parts) {
      const carried = stateOf(state, part, H * P)
      const h = carried || room
      if (!part.resumes || !carried) machine.kernels.clear({ at: h, bytes: H * P * N * 4 })
      forward(machine, args, part, h, 0, y)
    }
  })
  return y
}

/** See `Gradients.ssd`. The states on the way are those of a forward pass of its own. */
export function ssdGradient(
  machine: Machine,
  dy: Tensor,
  args: SsdArgs,
  into: SsdGradients,
  { initial = null, dInitial = null, dLast = null }: SsdEnds = {},
): void {
  const { kernels } = machine
  const { direction } = args
  const { T, H, P, G, N } = checkSsd(args)
  for (const one of [dy, into.dx]) expectShape('gradient', one, T, H * P)
  expectShape('gradient of dt', into.ddt, T, H)
  for (const one of [into.dB, into.dC]) expectShape('gradient of B or C', one, T, G * N)
  for (const one of [into.dA_log, into.dD, into.ddtBias]) expectShape('gradient of a head', one, 1, H)
  for (const one of [initial, dInitial, dLast]) expectShape('state', one, H * P, N)
  if ((initial || dInitial || dLast) && args.segments.offsets.length !== 2)
    throw new RangeError('states at the ends of several segments')
  const width = Math.ceil(N / 4) * 4
  const parts = readingOrder(args.segments, direction, T)
  const longest = parts.reduce((most, { rows }) => Math.max(most, rows), 1)
  const y = newTensor(machine, T, H * P)
  const h = newTensor(machine, H * P, N)
  const kept = newTensor(machine, kernels.ssdBlocks({ rows: longest }) * H * P, N)
  const adjoint = newTensor(machine, H * P, width)
  // All its rows are the same one.
  const nowhere = new CpuTensor(newTensor(machine, 1, Math.max(H * P, G * N)).at, T, 0, 0, true)
  const scratch = newTensor(machine, 1, kernels.ssdGradScratch({ H, N }) / 4)
  const copy = (from: CpuTensor, to: CpuTensor) =>
    kernels.copyRows({ rows: H * P, cols: N, x: from.at, xStep: from.step, y: to.at, yStep: to.step })
  const [d, dx, ddt, dB, dC] = [dy, into.dx, into.ddt, into.dB, into.dC].map((x) => cpu(x ?? nowhere))
  try {
    for (const part of parts) {
      const all = operands(args, part)
      if (initial) copy(cpu(initial), h)
      else kernels.clear({ at: h.at, bytes: H * P * N * 4 })
      kernels.clear({ at: adjoint.at, bytes: H * P * width * 4 })
      if (dLast) copy(cpu(dLast), adjoint)
      forward(machine, args, part, h.at, kept.at, y)
      kernels.ssdGrad({
        ...all,
        kept: kept.at,
        dy: firstRow(d, part, direction),
        dyStep: stepOf(d, direction),
        adjoint: adjoint.at,
        dx: firstRow(dx, part, direction),
        dxStep: stepOf(dx, direction),
        ddt: firstRow(ddt, part, direction),
        ddtStep: stepOf(ddt, direction),
        dB: firstRow(dB, part, direction),
        dBStep: stepOf(dB, direction),
        dC: firstRow(dC, part, direction),
        dCStep: stepOf(dC, direction),
        dA_log: at(into.dA_log ?? nowhere),
        dD: at(into.dD ?? nowhere),
        ddtBias: at(into.ddtBias ?? nowhere),
        scratch: scratch.at,
      })
    }
    if (dInitial) {
      const { at: to, step } = cpu(dInitial)
      const sum = { d: adjoint.at, dStep: adjoint.step, a: 0, aStep: 0, b: 0, bStep: 0, how: 0 }
      kernels.accumulate({ rows: H * P, cols: N, ...sum, into: to, intoStep: step })
    }
  } finally {
    for (const x of [y, h, kept, adjoint, nowhere, scratch]) freeTensor(machine, x)
  }
}

/** One segment from the state at h, which goes on; `kept`: room for the states before its blocks, or 0. */
function forward(machine: Machine, args: SsdArgs, part: Part, h: number, kept: number, y: CpuTensor): void {
  const { kernels } = machine
  const all = operands(args, part)
  const { H, N } = all
  const to = { out: firstRow(y, part, args.direction), outStep: stepOf(y, args.direction) }
  withScratch(machine, kernels.ssdScratch({ H, N }), (scratch) => kernels.ssdRows({ ...all, h, kept, scratch, ...to }))
}

/** What the kernels have in common. */
function operands(args: SsdArgs, part: Part) {
  const { direction } = args
  const { H, P, G, N } = ssdShape(args)
  const [x, dt, B, C] = [args.x, args.dt, args.B, args.C].map(cpu)
  const [least, most] = args.dtLimit
  return {
    rows: part.rows,
    ...{ H, P, G, N },
    x: firstRow(x, part, direction),
    xStep: stepOf(x, direction),
    dt: firstRow(dt, part, direction),
    dtStep: stepOf(dt, direction),
    b: firstRow(B, part, direction),
    bStep: stepOf(B, direction),
    c: firstRow(C, part, direction),
    cStep: stepOf(C, direction),
    A_log: at(args.A_log),
    D: at(args.D),
    dtBias: at(args.dtBias),
    least,
    most,
  }
}

/** Checks all shapes. */
function checkSsd(args: SsdArgs) {
  const shape = ssdShape(args)
  const { T, H, G, N } = shape
  expectShape('dt', args.dt, T, H)
  for (const one of [args.B, args.C]) expectShape('B or C', one, T, G * N)
  for (const one of [args.A_log, args.D, args.dtBias]) expectShape('A_log, D or dtBias', one, 1, H)
  return shape
}
