import type { Backend, ScanArgs, Tensor } from '../backends/backend.js'
import { type Device, devices, pickDevice } from '../backends/registry.js'
import { wholeSegments } from '../backends/segments.js'
import { Random } from '../training/random.js'
import { interleaved, median } from './rounds.js'

/** The selective scan of one shape on a device, next to what bounds it there: medians over the rounds. */
export interface ScanBenchRow {
  device: Device
  sequences: number
  rows: number
  d_inner: number
  /** Of one scan. */
  ms: number
  /** Bytes that a single pass reads and writes, in 10^9 per second. */
  scan_gb_per_second: number
  /** The same of a plain copy of one of its inputs. */
  copy_gb_per_second: number
  /** 10^9 exponentials per second, one for each state in each row. */
  gexp_per_second: number
  /** 10^9 operations per second of the product with in_proj, [d_inner, d_inner / 2]. */
  product_gflops: number
}

export interface ScanBenchOptions {
  device: 'auto' | Device
  /** Of all sequences together. */
  rows: number
  rounds: number
  onRound?: (done: number) => void
}

const N = 16
const shapes = [512, 1536].flatMap((E) => [1, 64].map((sequences) => ({ E, sequences })))
/** ms that calls are repeated for, at the least. */
const slice = 100

export async function benchScan({ device, rows: T, rounds, onRound }: ScanBenchOptions): Promise<ScanBenchRow[]> {
  const name = pickDevice(device)
  const backend = await devices[name].open()
  try {
    const cases = shapes.flatMap(({ E, sequences }) => {
      const make = maker(backend)
      const [x, weight] = [make(T, E / 2), make(E, E / 2)]
      const args = scanArgs(make, T, E, sequences)
      const scan = () => backend.selectiveScan(args, null)
      const copy = () => backend.activate(args.u, 'none')
      const product = () => backend.linear(x, weight)
      return [scan, copy, product].map((call) => () => seconds(backend, call))
    })
    const medians = (await interleaved(cases, rounds, onRound)).map(median)
    return shapes.map(({ E, sequences }, i) => {
      const [scan, copy, product] = medians.slice(3 * i, 3 * i + 3)
      return {
        device: name,
        sequences,
        rows: T,
        d_inner: E,
        ms: scan * 1e3,
        scan_gb_per_second: (T * (4 * E + 2 * N) * 4) / scan / 1e9, // u, dt, z and y; B and C
        copy_gb_per_second: (T * 2 * E * 4) / copy / 1e9,
        gexp_per_second: (T * E * N) / scan / 1e9,
        product_gflops: (T * E * E) / product / 1e9,
      }
    })
  } finally {
    await backend.close()
  }
}

/**
 * Seconds per call. A call may only ask for the work, which is done when a number of its result has been read: so calls are made in
 * series that double until one is long.
 */
async function seconds(backend: Backend, call: () => Tensor | Promise<Tensor>): Promise<number> {
  for (let calls = 1; ; calls *= 2) {
    const start = performance.now()
    for (let i = 0; i < calls; i++) {
      const y = await call()
      if (i === calls - 1) await backend.download(backend.rows(y, 0, 1))
      backend.release(y)
    }
    const ms = performance.now() - start
    if (ms >= slice && calls > 1) return ms / 1e3 / calls
  }
}

type Make = (rows: number, cols: number) => Tensor

/** Tensors of random numbers within 0.1; of many rows the first ones come again and again. */
function maker(backend: Backend): Make {
  const random = new Random(1)
  return (rows, cols) => {
    const first = Math.min(rows, 256)
    const numbers = Float32Array.from({ length: first * cols }, () => random.uniform(-0.1, 0.1))
    const x = backend.upload(numbers, first, cols)
    if (first === rows) return x
    const all = backend.gatherRows(
      x,
      Int32Array.from({ length: rows }, (_, i) => i % first),
    )
    backend.release(x)
    return all
  }
}

function scanArgs(make: Make, T: number, E: number, sequences: number): ScanArgs {
  const BC = [make(T, N), make(T, N)]
  const offsets = Int32Array.from({ length: sequences + 1 }, (_, s) => Math.floor((s * T) / sequences))
  return {
    ...{ u: make(T, E), dt: make(T, E), z: make(T, E), B: BC[0], C: BC[1] },
    ...{ A_log: make(E, N), D: make(1, E), dtBias: make(1, E), softplus: true },
    ...{ segments: wholeSegments(offsets), direction: 'forward' },
  }
}
