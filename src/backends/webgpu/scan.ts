import type { ScanArgs, Tensor } from '../backend.js'
import type { Direction, Part } from '../segments.js'
import type { Machine } from './machine.js'
import { partsOf } from './parts.js'
import { applyKernel, foldKernel, parametersKernel, type ScanShape, summaryKernel } from './scan-kernels.js'
import { columnsOf, type GpuTensor, gpu, optional, stateOf } from './tensor.js'

/**
 * How a scan goes about it: one thread for each channel of a segment from end to end, which is the least work, or for each channel of
 * its pieces, side by side. `auto` takes pieces where whole segments would leave most of a GPU idle.
 */
export type ScanForm = 'auto' | 'sequential' | 'pieces'

/** Rows of a piece. It leaves N states a channel, which are no more than its rows. */
export const pieceRows = (N: number) => Math.max(64, N)
/** Threads that keep a large GPU busy: reasoned, not measured (docs/decisions.md). */
const busyThreads = 65536

/**
 * Mamba-1 selective scan in three phases: every piece from a zero state, which gives its last state and the sum of its steps; the states
 * before the pieces, one from the other; every piece again from there. The sequential form is the last phase alone, a segment being the
 * piece.
 */
export function selectiveScan(
  machine: Machine,
  args: ScanArgs,
  states: Tensor | null,
  addTo: Tensor | undefined,
  form: ScanForm,
): Tensor {
  const [T, E, N] = [args.u.rows, args.u.cols, args.A_log.cols]
  const { parts } = partsOf(args.segments, args.direction, T)
  const state = stateOf(states, E, N, parts)
  const out = addTo ? gpu(addTo, T, E) : machine.allocate(T, E)
  const operands = operandsOf(machine, args)
  const scan = { machine, args, parts, operands }
  const shape = { N, softplus: args.softplus, z: !!args.z, add: !!addTo }
  if (form === 'pieces' || (form === 'auto' && worthCutting(machine, parts, E, N))) cutScan(scan, shape, state, out)
  else apply(scan, { ...shape, state: !!state }, wholeParts(parts, args), state, out)
  releaseOperands(machine, operands)
  return out
}

interface Scan {
  machine: Machine
  args: ScanArgs
  parts: Part[]
  operands: Operands
}

export function worthCutting({ tensorBytes }: Machine, parts: Part[], E: number, N: number): boolean {
  const pieces = parts.reduce((sum, { rows }) => sum + Math.ceil(rows / pieceRows(N)), 0)
  const fits = pieces * E * N * 4 <= tensorBytes
  return fits && parts.length * E < busyThreads && parts.some(({ rows }) => rows > 2 * pieceRows(N))
}

interface Read {
  direction: Direction
}

/** Row of step `t` of a part in reading order. */
const rowOf = ({ from, rows }: Part, t: number, { direction }: Read) =>
  direction === 'forward' ? from + t : from + rows - 1 - t

/** The segments as pieces. */
export const wholeParts = (parts: Part[], args: Read): Int32Array =>
  Int32Array.from(parts.flatMap((part) => [rowOf(part, 0, args), part.rows, part.resumes ? part.slot : -1, part.slot]))

function cutScan(scan: Scan, shape: Omit<ScanShape, 'state'>, state: GpuTensor | null, out: GpuTensor): void {
  const { machine, args, parts } = scan
  const pieces = cut(parts, args, shape.N)
  const before = statesBefore(scan, shape, pieces, state)
  apply(scan, { ...shape, state: true }, pieces.resumed, before, out)
  machine.release(before)
}

/** States before the pieces [pieces E, N], from those in the slots of `state`. */
export function statesBefore(
  { machine, operands }: Pick<Scan, 'machine' | 'operands'>,
  shape: Omit<ScanShape, 'state'>,
  { fromZero, segments, count }: Pieces,
  state: GpuTensor | null,
): GpuTensor {
  const { u, dt, BC, parameters, numbers } = operands
  const { E } = numbers
  const ends = machine.allocate(count * E, shape.N)
  const sums = machine.allocate(count, E)
  machine.run(summaryKernel({ ...shape, state: true }), {
    tensors: { u, dt, BC, parameters, state: ends, sums },
    tables: { pieces: fromZero },
    numbers,
    blocks: count * numbers.across,
  })
  fold(machine, { sums, parameters, ends }, segments, state)
  machine.release(sums)
  return ends
}

interface Folded {
  /** [pieces, E] */
  sums: GpuTensor
  parameters: GpuTensor
  /** [pieces E, N] */
  ends: GpuTensor
}

/** From the last states of pieces to those before them, in place: see `foldKernel`. */
export function fold(
  machine: Machine,
  { sums, parameters, ends }: Folded,
  segments: Int32Array,
  state: GpuTensor | null,
) {
  const [E, N] = [sums.cols, ends.cols]
  const across = Math.ceil((E * N) / 64)
  machine.run(foldKernel(N, !!state, 'state'), {
    tensors: { sums, parameters, ends, ...(state && { state }) },
    tables: { segments },
    numbers: { E, H: E, across },
    blocks: (segments.length / 4) * across,
  })
}

export type Pieces = ReturnType<typeof cut>

/**
 * The pieces as `summaryKernel` has them (`fromZero`) and as `applyKernel` has them, `count` of them, and the segments as `foldKernel`
 * has them. Written number by number: arrays of arrays took longer than the scan of a large card.
 */
export function cut(parts: Part[], args: Read, N: number) {
  const most = pieceRows(N)
  const count = parts.reduce((sum, { rows }) => sum + Math.ceil(rows / most), 0)
  const [fromZero, resumed] = [new Int32Array(4 * count), new Int32Array(4 * count)]
  const segments = new Int32Array(4 * parts.length)
  let piece = 0
  for (const [s, part] of parts.entries()) {
    segments.set([piece, Math.ceil(part.rows / most), part.resumes ? part.slot : -1, part.slot], 4 * s)
    for (let t = 0; t < part.rows; t += most, piece++) {
      const at = 4 * piece
      fromZero[at] = resumed[at] = rowOf(part, t, args)
      fromZero[at + 1] = resumed[at + 1] = Math.min(most, part.rows - t)
      fromZero[at + 2] = resumed[at + 3] = -1
      fromZero[at + 3] = resumed[at + 2] = piece
    }
  }
  return { fromZero, resumed, segments, count }
}

/** `pieces`: as `applyKernel` has them. */
function apply(
  { machine, operands }: Scan,
  shape: ScanShape,
  pieces: Int32Array,
  state: GpuTensor | null,
  y: GpuTensor,
) {
  const { u, dt, z, BC, parameters, numbers } = operands
  machine.run(applyKernel(shape), {
    tensors: { u, dt, BC, parameters, y, ...(z && { z }), ...(state && { state }) },
    tables: { pieces },
    numbers,
    blocks: (pieces.length / 4) * numbers.across,
  })
}

export interface Operands {
  u: GpuTensor
  dt: GpuTensor
  z: GpuTensor | null
  /** [E, N + 2]: see `parametersKernel`. */
  parameters: GpuTensor
  /** B and C in one buffer, where they often are: a kernel has no more than eight. */
  BC: GpuTensor
  copied: boolean
  numbers: { E: number; G: number; across: number } & Record<string, number>
}

export function operandsOf(machine: Machine, args: ScanArgs): Operands {
  const [T, E, N] = [args.u.rows, args.u.cols, args.A_log.cols]
  const G = args.B.cols / N
  if (!Number.isInteger(G)) throw new RangeError(`B has ${args.B.cols} columns, no multiple of ${N} states`)
  const { BC, places, copied } = together(machine, gpu(args.B, T, G * N), gpu(args.C, T, G * N))
  const direction = { backwards: args.direction === 'reverse' ? 1 : 0 }
  return {
    u: gpu(args.u, T, E),
    dt: gpu(args.dt, T, E),
    z: optional(args.z, T, E),
    parameters: parametersOf(machine, args, E, N),
    BC,
    copied,
    numbers: { E, G, across: Math.ceil(E / 64), ...direction, ...places },
  }
}

export function releaseOperands(machine: Machine, { parameters, BC, copied }: Operands): void {
  machine.release(parameters)
  if (copied) machine.release(BC)
}

/** B and C where a kernel finds both in one buffer. */
export function together(machine: Machine, B: GpuTensor, C: GpuTensor) {
  const placesOf = (B: GpuTensor, C: GpuTensor) => ({ B_at: B.at, B_step: B.step, C_at: C.at, C_step: C.step })
  if (B.block === C.block) return { BC: B, places: placesOf(B, C), copied: false }
  const both = machine.allocate(B.rows, B.cols + C.cols)
  const [left, right] = [columnsOf(both, 0, B.cols), columnsOf(both, B.cols, both.cols)]
  machine.copy(B, left)
  machine.copy(C, right)
  return { BC: both, places: placesOf(left, right), copied: true }
}

function parametersOf(machine: Machine, { A_log, D, dtBias }: ScanArgs, E: number, N: number): GpuTensor {
  const [d, bias] = [optional(D, 1, E), optional(dtBias, 1, E)]
  const y = machine.allocate(E, N + 2)
  machine.run(parametersKernel(N, !!d, !!bias), {
    tensors: { A_log: gpu(A_log, E, N), y, ...(d && { D: d }), ...(bias && { bias }) },
    numbers: { E },
    blocks: Math.ceil(E / 64),
  })
  return y
}
