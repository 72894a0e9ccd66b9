import type { ScanArgs, ScanGradients, Tensor } from '../../backend.js'
import type { Machine } from '../machine.js'
import { partsOf } from '../parts.js'
import { groupsOf, type Range, rangesOf } from '../ranges.js'
import { cut, fold, type Operands, operandsOf, pieceRows, releaseOperands, statesBefore } from '../scan.js'
import { columnsOf, type GpuTensor, gpu, optional, rowsOf } from '../tensor.js'
import { put } from './elementwise.js'
import { foldRows } from './fold.js'
import { piecesOf, someOf, spreadKernel } from './pieces.js'
import {
  acrossKernel,
  adjointKernel,
  backKernel,
  type GradientShape,
  givenKernel,
  known,
  statesKernel,
} from './scan-kernels.js'

/** States [E, N] at both ends of the only segment: what it starts from, and gradients of that (added to) and of the last one. */
export interface ScanEnds {
  initial?: Tensor | null
  dInitial?: Tensor | null
  dLast?: Tensor | null
}

/** As many channels at a time as there is room for: of a piece row by row, and of the states of all pieces. `plain`: as in `GradientShape`. */
export function scanGradient(
  machine: Machine,
  dy: Tensor,
  args: ScanArgs,
  into: ScanGradients,
  ends: ScanEnds = {},
  plain = false,
): void {
  const [T, E, N] = [args.u.rows, args.u.cols, args.A_log.cols]
  const G = args.B.cols / N
  const R = pieceRows(N)
  const { count } = piecesOf(partsOf(args.segments, args.direction, T).parts, args.direction, R)
  const most = machine.roomBytes / 4 / Math.max(R * N, R * known, count * (N + 2))
  for (const range of rangesOf(E, G, most)) {
    const columns = <X extends Tensor | null>(x: X, [from, to] = range) => (x ? columnsOf(gpu(x), from, to) : x) as X
    const rows = <X extends Tensor | null | undefined>(x: X) => (x ? rowsOf(gpu(x), ...range) : x) as X
    const groups = groupsOf(range, E, G).map((group) => group * N) as Range
    const { u, dt, A_log, B, C, D, z, dtBias } = args
    ofChannels(
      machine,
      columns(dy),
      {
        ...args,
        ...{ u: columns(u), dt: columns(dt), A_log: rows(A_log), B: columns(B, groups), C: columns(C, groups) },
        ...{ D: columns(D), z: columns(z), dtBias: columns(dtBias) },
      },
      {
        ...{ du: columns(into.du), ddt: columns(into.ddt), dA_log: rows(into.dA_log), dB: columns(into.dB, groups) },
        ...{ dC: columns(into.dC, groups), dD: columns(into.dD), dz: columns(into.dz), ddtBias: columns(into.ddtBias) },
      },
      { initial: rows(ends.initial), dInitial: rows(ends.dInitial), dLast: rows(ends.dLast) },
      plain,
    )
  }
}

/**
 * By pieces, as the scan in three phases: the states before the pieces, the gradients of the states after them the same way backwards, then
 * some pieces at a time: their states row by row, of which the gradients of all else follow. So memory has a bound whatever the length, but for one
 * state for each piece.
 */
function ofChannels(
  machine: Machine,
  dy: Tensor,
  args: ScanArgs,
  into: ScanGradients,
  { initial, dInitial, dLast }: ScanEnds,
  plain: boolean,
): void {
  const [T, E, N] = [args.u.rows, args.u.cols, args.A_log.cols]
  const { parts } = partsOf(args.segments, args.direction, T)
  const operands = operandsOf(machine, args)
  const { dt, z, BC, parameters, numbers } = operands
  const { across } = numbers
  const d = gpu(dy, T, E)
  const shape: GradientShape = { N, softplus: args.softplus, z: !!z, plain }
  const R = pieceRows(N)
  const { pieces, segments, count } = piecesOf(parts, args.direction, R)
  /** For `fold`: which of the segments begin with a state, and leave one. */
  const folded = (from: unknown, to: unknown) =>
    Int32Array.from(
      parts.flatMap(({ rows }, s) => [segments[3 * s + 2], Math.ceil(rows / R), from ? 0 : -1, to ? 0 : -1]),
    )

  const start = optional(initial, E, N)
  const scan = { machine, operands }
  const forward = { ...cut(parts, args, N), segments: folded(start, null) }
  const before = statesBefore(scan, { ...shape, add: false }, forward, start)
  const after = machine.allocate(count * E, N)
  const steps = machine.allocate(count, E)
  machine.run(adjointKernel(shape), {
    tensors: { dt, d, BC, parameters, ...(z && { z }), state: after, sums: steps },
    tables: { pieces },
    numbers,
    blocks: count * across,
  })
  const state = dLast ? machine.copied(gpu(dLast, E, N)) : dInitial ? machine.allocate(E, N) : null
  fold(machine, { sums: steps, parameters, ends: after }, folded(dLast, dInitial), state)
  machine.release(steps)
  if (state) {
    put(machine, dInitial ?? null, '+=', 'state_one', { state })
    machine.release(state)
  }

  const sums = machine.allocate(count, E * (N + 2))
  for (const some of someOf(machine, pieces, 4 * R * E * Math.max(N, known)))
    backThrough({ machine, operands, shape, d, before, after, sums, R, pieces: some }, into)
  foldRows(machine, columnsOf(sums, 0, E * N), optional(into.dA_log, E, N))
  foldRows(machine, columnsOf(sums, E * N, E * (N + 1)), optional(into.dD, 1, E))
  foldRows(machine, columnsOf(sums, E * (N + 1), E * (N + 2)), optional(into.ddtBias, 1, E))
  for (const x of [before, after, sums]) machine.release(x)
  releaseOperands(machine, operands)
}

interface Some {
  machine: Machine
  operands: Operands
  shape: GradientShape
  d: GpuTensor
  before: GpuTensor
  after: GpuTensor
  sums: GpuTensor
  R: number
  pieces: Int32Array
}

/** The gradients of what some of the pieces read row by row, and their `sums`. */
function backThrough({ machine, operands, shape, d, before, after, sums, R, pieces }: Some, into: ScanGradients): void {
  const { u, dt, z, BC, parameters, numbers } = operands
  const { E, G, across } = numbers
  const { N } = shape
  const [count, T] = [pieces.length / 4, u.rows]
  const tables = { pieces }
  const given = machine.allocate(count * R, known * E)
  const states = machine.allocate(count * R, E * N)
  const all = { ...numbers, R, count }
  machine.run(givenKernel(shape), {
    tensors: { u, dt, parameters, d, ...(z && { z }), given },
    tables,
    numbers: all,
    blocks: Math.ceil((count * R * E) / 64),
  })
  machine.run(statesKernel(shape), {
    tensors: { given, BC, parameters, before, states },
    tables,
    numbers: all,
    blocks: count * across,
  })
  const addAcross = (weigh: number, y: GpuTensor | null) => {
    if (!y) return
    const blocks = Math.ceil((count * R * G * N) / 64)
    machine.run(acrossKernel(N), { tensors: { given, states, y }, tables, numbers: { ...all, weigh }, blocks })
  }
  addAcross(3, optional(into.dC, T, G * N))
  machine.run(backKernel(shape), {
    tensors: { BC, parameters, before, after, given, states, sums },
    tables,
    numbers: all,
    blocks: count * across,
  })
  addAcross(0, optional(into.dB, T, G * N))
  const spread = (column: number, y: GpuTensor | null) => {
    if (!y) return
    machine.run(spreadKernel, {
      tensors: { x: columnsOf(given, column * E, (column + 1) * E), y },
      tables,
      numbers: { ...all, cols: E },
      blocks: Math.ceil((count * R * E) / 64),
    })
  }
  spread(1, optional(into.ddt, T, E))
  spread(2, optional(into.du, T, E))
  if (z) spread(4, optional(into.dz, T, E))
  machine.release(given)
  machine.release(states)
}
