import type { SsdArgs, Tensor } from '../backend.js'
import type { Direction, Segments } from '../segments.js'
import { type SsdShape, ssdShape } from '../ssd.js'
import type { Machine } from './machine.js'
import { partsOf } from './parts.js'
import { cut, type ScanForm, together, wholeParts, worthCutting } from './scan.js'
import { foldKernel } from './scan-kernels.js'
import { applyKernel, type SsdSlice, stepsKernel, summaryKernel } from './ssd-kernels.js'
import { type GpuTensor, gpu, stateOf } from './tensor.js'

/** States of a thread at most: they and the products of a row fit into its registers. */
const mostStates = 32
/** The largest step, where there is no limit: WGSL has no infinity. */
export const mostStep = 3e38

export function ssd(machine: Machine, args: SsdArgs, states: Tensor | null, form: ScanForm): Tensor {
  const shape = ssdShape(args)
  const { T, H, P, G, N } = shape
  const steps = stepsOf(machine, args, T, H)
  const { BC, places, copied } = together(machine, gpu(args.B, T, G * N), gpu(args.C, T, G * N))
  const operands = { x: gpu(args.x, T, H * P), steps, BC, D: gpu(args.D, 1, H) }
  const y = machine.allocate(T, H * P)
  phases(machine, { shape, operands, places, read: args, states, form, y })
  machine.release(steps)
  if (copied) machine.release(BC)
  return y
}

export interface Phases {
  shape: SsdShape
  /** x and `before` [T, H P], steps [T, 2 H], of 3 H with `before`, and D [1, H]; BC holds what lies at the `places`. */
  operands: Record<'x' | 'steps' | 'BC' | 'D', GpuTensor> & { before?: GpuTensor }
  places: Record<string, number>
  read: { segments: Segments; direction: Direction }
  /** [slots H P, N] */
  states: Tensor | null
  form: ScanForm
  /** [T, H P], the result. */
  y: GpuTensor
}

/** In the phases of the selective scan; steps and decays of a head are found once, and many states go in slices, one after the other. */
export function phases(machine: Machine, { shape, operands, places, read, states, form, y }: Phases): void {
  const { T, H, P, G, N } = shape
  const E = H * P
  const { parts } = partsOf(read.segments, read.direction, T)
  const state = stateOf(states, E, N, parts)
  const { D, ...given } = operands
  const across = Math.ceil(E / 64)
  const numbers = { H, P, G, N, across, backwards: read.direction === 'reverse' ? 1 : 0, ...places }
  const eachSlice = (run: (slice: SsdSlice, first: number) => void) => {
    for (let first = 0; first < N; first += mostStates)
      run({ N, width: Math.min(mostStates, N - first), past: !!operands.before }, first)
  }
  const apply = (pieces: Int32Array, from: GpuTensor | null) =>
    eachSlice((slice, first) =>
      machine.run(applyKernel(slice, first === 0, !!from), {
        tensors: { ...given, D, y, ...(from && { state: from }) },
        tables: { pieces },
        numbers: { ...numbers, first },
        blocks: (pieces.length / 4) * across,
      }),
    )
  if (form === 'pieces' || (form === 'auto' && worthCutting(machine, parts, E, N))) {
    const { fromZero, resumed, segments, count } = cut(parts, read, N)
    const [ends, sums] = [machine.allocate(count * E, N), machine.allocate(count, H)]
    eachSlice((slice, first) =>
      machine.run(summaryKernel(slice), {
        tensors: { ...given, state: ends, sums },
        tables: { pieces: fromZero },
        numbers: { ...numbers, first },
        blocks: count * across,
      }),
    )
    const blocks = Math.ceil((E * N) / 64)
    machine.run(foldKernel(N, !!state, 'head'), {
      tensors: { sums, ends, ...(state && { state }) },
      tables: { segments },
      numbers: { E, H, across: blocks },
      blocks: parts.length * blocks,
    })
    apply(resumed, ends)
    machine.release(ends)
    machine.release(sums)
  } else apply(wholeParts(parts, read), state)
}

function stepsOf(machine: Machine, { dt, A_log, dtBias, dtLimit }: SsdArgs, T: number, H: number): GpuTensor {
  const y = machine.allocate(T, 2 * H)
  machine.run(stepsKernel, {
    tensors: { dt: gpu(dt, T, H), A_log: gpu(A_log, 1, H), bias: gpu(dtBias, 1, H), y },
    numbers: { T, H, least: dtLimit[0], most: Math.min(dtLimit[1], mostStep) },
    blocks: Math.ceil((T * H) / 64),
  })
  return y
}
