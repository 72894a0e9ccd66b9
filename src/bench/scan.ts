import { type Device, devices } from '../backends/registry.js'
import { chunkOf, N, type Shape, scanInChunks } from './chunked-scan.js'
import type { MeasuredDevice } from './device.js'
import { openDevice } from './open-device.js'
import type { OnRound } from './report.js'
import { interleaved, median } from './rounds.js'
import { timer } from './seconds.js'

/** The selective scan of one shape on a device, next to what bounds it there: medians over the rounds. */
export interface ScanBenchRow {
  d_inner: number
  /** Sequences side by side. */
  batch: number
  /** Of a sequence. */
  rows: number
  /** Rows of a sequence that are computed at a time. */
  chunk: number
  /** Of one scan of all sequences. */
  ms: number
  /** Bytes that a single pass reads and writes, in 10^9 per second. */
  scan_gb_per_second: number
  /** The same of a plain copy of as many bytes. */
  copy_gb_per_second: number
  /** 10^9 exponentials per second: of each state, of softplus and of the gate. */
  scan_gexp_per_second: number
  /** The same where nothing else is computed. */
  exp_gexp_per_second: number
  /** Which of the two would take the scan longer. */
  bound: 'copy' | 'exp'
  /** How near the scan comes to it; 1: as fast. */
  share: number
}

export interface ScanBenchOptions {
  device: Device
  /** Absent: what the device does in about a minute. */
  rows?: number[]
  batch?: number[]
  rounds: number
  onRound?: OnRound
}

/** d_inner */
export const widths = [512, 1536]
const lengths = [4096, 65_536, 1_048_576]
/** Rows in all that nobody has to ask for. */
const mostRows = 2 ** 22
/** Enough that no cache holds a tensor; the tensors of a scan take 1.3 GB together. */
const tensorBytes = 2 ** 28

export async function benchScan({ device, rounds, onRound, ...wanted }: ScanBenchOptions): Promise<ScanBenchRow[]> {
  const rows: ScanBenchRow[] = []
  for (const shape of shapesOf(device, wanted)) {
    const measured = await openDevice(device)
    try {
      rows.push(await measure(measured, shape, rounds, onRound))
    } finally {
      await measured.backend.close()
    }
  }
  return rows
}

function shapesOf(device: Device, wanted: Pick<ScanBenchOptions, 'rows' | 'batch'>): Shape[] {
  const batches = wanted.batch ?? [1, 64]
  // A thread of a processor takes seconds for what a GPU does in a millisecond.
  const own = devices[device].lanes === 1 ? lengths : lengths.slice(0, 1)
  const pairs = (wanted.rows ?? own).flatMap((rows) => batches.map((batch) => ({ rows, batch })))
  const kept = wanted.rows ? pairs : pairs.filter(({ rows, batch }) => rows * batch <= mostRows)
  return widths.flatMap((E) => kept.map((pair) => ({ E, ...pair })))
}

async function measure(device: MeasuredDevice, shape: Shape, rounds: number, onRound?: OnRound): Promise<ScanBenchRow> {
  const { E, batch, rows } = shape
  const { backend } = device
  const chunk = chunkOf(shape, Math.min(tensorBytes, device.tensorBytes))
  const { args, scan } = scanInChunks(backend, shape, chunk)
  const copy = () => {
    backend.release(device.copy(args.dt))
    return device.copy(args.u)
  }
  const count = rows * batch * E * (N + 2)
  const exponentials = device.exponentials(count)
  const timers = [scan, copy, exponentials.run].map((call) => timer(backend, call))
  const label = `d_inner ${E}, ${batch} x ${rows} rows`
  const medians = await interleaved(timers, rounds, (done) => onRound?.(done, label))
  const [seconds, copySeconds, expSeconds] = medians.map(median)
  const bytes = rows * batch * (4 * E + 2 * N) * 4 // u, dt, z and y; B and C
  const copyRate = (batch * chunk * 4 * E * 4) / copySeconds
  const expRate = exponentials.count / expSeconds
  const bounds = { copy: bytes / copyRate, exp: count / expRate }
  const bound = bounds.copy > bounds.exp ? 'copy' : 'exp'
  return {
    d_inner: E,
    batch,
    rows,
    chunk,
    ms: seconds * 1e3,
    scan_gb_per_second: bytes / seconds / 1e9,
    copy_gb_per_second: copyRate / 1e9,
    scan_gexp_per_second: count / seconds / 1e9,
    exp_gexp_per_second: expRate / 1e9,
    bound,
    share: bounds[bound] / seconds,
  }
}
