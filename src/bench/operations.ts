import type { Backend, Tensor } from '../backends/backend.js'
import { openCpuBackend } from '../backends/cpu/cpu.js'
import { type Direction, type Segments, wholeSegments } from '../backends/segments.js'
import { interleaved, median } from './rounds.js'
import { type Make, maker, scanArgs } from './tensors.js'

/** One operation of the cpu backend at one shape, on one core: medians over the rounds. */
export interface OperationBenchRow {
  operation: string
  shape: string
  us_per_row: number
  /** In `unit`. */
  rate: number
  unit: Unit
  /** Times as fast as the fallback: kernels without relaxed SIMD, and our own matrix product. */
  ratio: number
}

/** GFLOP/s: the more the better; the others are times. A state is one of E x N numbers of a scan in one row. */
type Unit = 'GFLOP/s' | 'ns/number' | 'ns/state'

export interface OperationBenchOptions {
  /** Rows of a call. */
  rows: number
  rounds: number
  onRound?: (done: number) => void
}

interface Case {
  operation: string
  shape: string
  unit: Unit
  /** Floating point operations, numbers or states of one row. */
  perRow: number
  /** Makes the inputs and gives the call to time. */
  prepare(backend: Backend): () => void | Promise<void>
}

/** Widths of the models in mind: D = 128 as the bundled ones, and twice that. */
const widths = [128, 256]
/** ms a case is repeated for in one round. */
const slice = 10

/** Times the operations of a Mamba block and their gradients one by one. */
export async function benchOperations({ rows, rounds, onRound }: OperationBenchOptions): Promise<OperationBenchRow[]> {
  const cases = widths.flatMap((D) => blockCases(rows, D))
  const picked = await openCpuBackend()
  const fallback = await openCpuBackend({ kernels: 'plain', matrixProducts: 'own kernel' })
  try {
    const out: OperationBenchRow[] = []
    const timers = cases.flatMap((one) => [picked, fallback].map((backend) => timer(one.prepare(backend))))
    const seconds = (await interleaved(timers, rounds, onRound)).map(median)
    for (const [i, { operation, shape, unit, perRow }] of cases.entries()) {
      const ns = (seconds[2 * i] * 1e9) / rows
      const rate = unit === 'GFLOP/s' ? perRow / ns : ns / perRow
      out.push({ operation, shape, us_per_row: ns / 1000, rate, unit, ratio: seconds[2 * i + 1] / seconds[2 * i] })
    }
    return out
  } finally {
    await picked.close()
    await fallback.close()
  }
}

/** Seconds per call; the first call of all is not counted. */
function timer(call: () => void | Promise<void>): () => Promise<number> {
  let warm = false
  return async () => {
    if (!warm) await call()
    warm = true
    const start = performance.now()
    let calls = 0
    do {
      await call()
      calls++
    } while (performance.now() - start < slice)
    return (performance.now() - start) / 1000 / calls
  }
}

/** The operations of a block of width D with E = 2 D, N = 16, R = D / 16 and K = 4, in the order they come. */
function blockCases(T: number, D: number): Case[] {
  const [E, N, R, K] = [2 * D, 16, D / 16, 4]
  const whole = wholeSegments(Int32Array.of(0, T))
  const reads = wholeSegments(readOffsets(T, 150))

  const forward = (operation: string, shape: string, unit: Unit, perRow: number, run: Runs): Case => ({
    operation,
    shape,
    unit,
    perRow,
    prepare(backend) {
      const call = run(backend, maker(backend))
      return async () => backend.release(await call())
    },
  })
  const linear = (name: string, I: number, O: number, residual = false) =>
    forward(`linear ${name}`, `${I} to ${O}`, 'GFLOP/s', 2 * I * O, (backend, make) => {
      const [x, weight] = [make(T, I), make(O, I)]
      const options = residual ? { residual: make(T, O) } : {}
      return () => backend.linear(x, weight, options)
    })
  const scan = (name: string, direction: Direction, segments: Segments) =>
    forward(`scan ${name}`, `E ${E} N ${N}`, 'ns/state', E * N, (backend, make) => {
      const args = scanArgs(backend, make, { T, E, N }, direction, segments)
      return () => backend.selectiveScan(args, null)
    })
  const backward = (operation: string, shape: string, unit: Unit, perRow: number, prepare: Backward): Case => ({
    operation,
    shape,
    unit,
    perRow,
    prepare: (backend) => prepare(backend.gradients!, maker(backend), backend),
  })

  return [
    forward('norm rms', `D ${D}`, 'ns/number', D, (backend, make) => {
      const [x, weight] = [make(T, D), make(1, D)]
      return () => backend.norm(x, { kind: 'rms', eps: 1e-5 }, weight, null)
    }),
    linear('in_proj', D, 2 * E),
    forward('conv', `E ${E} K ${K}`, 'ns/number', E, (backend, make) => {
      const [x, weight, bias] = [make(T, E), make(K, E), make(1, E)]
      const args = { segments: whole, direction: 'forward', activation: 'silu', state: null } as const
      return () => backend.causalConv(x, weight, bias, args)
    }),
    linear('x_proj', E, R + 2 * N),
    linear('dt_proj', R, E),
    scan('forward', 'forward', whole),
    scan('reverse', 'reverse', whole),
    scan('reads of 150', 'forward', reads),
    linear('out_proj', E, D, true),
    forward('combine add', `D ${D}`, 'ns/number', D, (backend, make) => {
      const [a, b] = [make(T, D), make(T, D)]
      return () => backend.combine(a, b, 'add')
    }),
    forward('pool mean', `D ${D}`, 'ns/number', D, (backend, make) => {
      const x = make(T, D)
      return () => backend.pool(x, reads, 'mean', null)
    }),
    backward('norm rms gradient', `D ${D}`, 'ns/number', D, (gradients, make) => {
      const [dy, x, weight, dx, dWeight] = [make(T, D), make(T, D), make(1, D), make(T, D), make(1, D)]
      return () => gradients.norm(dy, x, { kind: 'rms', eps: 1e-5 }, weight, { dx, dWeight, dBias: null })
    }),
    backward('linear in_proj gradient', `${D} to ${2 * E}`, 'GFLOP/s', 2 * D * 2 * E * 2, (gradients, make) => {
      const [dy, x, weight, dx, dWeight] = [make(T, 2 * E), make(T, D), make(2 * E, D), make(T, D), make(2 * E, D)]
      return () => gradients.linear(dy, x, weight, { dx, dWeight, dBias: null })
    }),
    backward('conv gradient', `E ${E} K ${K}`, 'ns/number', E, (gradients, make) => {
      const [dy, x, weight, bias] = [make(T, E), make(T, E), make(K, E), make(1, E)]
      const into = { dx: make(T, E), dWeight: make(K, E), dBias: make(1, E) }
      const args = { segments: whole, direction: 'forward', activation: 'silu' } as const
      return () => gradients.causalConv(dy, x, weight, bias, args, into)
    }),
    backward('scan gradient', `E ${E} N ${N}`, 'ns/state', E * N, (gradients, make, backend) => {
      const plain = scanArgs(backend, make, { T, E, N }, 'forward', whole)
      const args = { ...plain, kept: gradients.keptStates(plain) }
      backend.release(backend.selectiveScan(args, null))
      const dy = make(T, E)
      const into = {
        du: make(T, E),
        ddt: make(T, E),
        dA_log: make(E, N),
        dB: make(T, N),
        dC: make(T, N),
        dD: make(1, E),
        dz: make(T, E),
        ddtBias: make(1, E),
      }
      return () => gradients.selectiveScan(dy, args, into, null)
    }),
    // One parameter per number, as if the weights were [T, D].
    backward('adamw', `D ${D}`, 'ns/number', D, (gradients, make) => {
      const [param, grad, m, v] = [make(T, D), make(T, D), make(T, D, 0), make(T, D, 0)]
      const settings = { lr: 1e-3, beta1: 0.9, beta2: 0.98, eps: 1e-8, weightDecay: 0.05, step: 1, scale: 1 }
      return () => gradients.adamw(param, grad, m, v, settings)
    }),
  ]
}

type Runs = (backend: Backend, make: Make) => () => Tensor | null | Promise<Tensor>
type Backward = (
  gradients: NonNullable<Backend['gradients']>,
  make: Make,
  backend: Backend,
) => () => void | Promise<void>

function readOffsets(rows: number, length: number): Int32Array {
  const starts = Array.from({ length: Math.ceil(rows / length) }, (_, i) => i * length)
  return Int32Array.from([...starts, rows])
}
