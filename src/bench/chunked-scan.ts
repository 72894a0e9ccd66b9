import type { Backend, Tensor } from '../backends/backend.js'
import type { Segments } from '../backends/segments.js'
import { maker, scanArgs } from './tensors.js'

/** d_state */
export const N = 16

export interface Shape {
  /** d_inner */
  E: number
  /** Sequences side by side. */
  batch: number
  /** Of a sequence. */
  rows: number
}

/** The whole sequence where a tensor holds it for all of the batch, else as many rows as one holds, a power of two. */
export function chunkOf({ E, batch, rows }: Shape, bytes: number): number {
  const most = Math.max(1, Math.floor(bytes / 4 / E / batch))
  return rows <= most ? rows : 2 ** Math.floor(Math.log2(most))
}

/** A call scans all rows, chunk by chunk with carried state; every chunk has the same numbers. */
export function scanInChunks(backend: Backend, { E, batch, rows }: Shape, chunk: number) {
  const chunks = Math.ceil(rows / chunk)
  const T = batch * chunk
  const args = scanArgs(backend, maker(backend), { T, E, N }, 'forward', batchOf(batch, chunk, 0, rows))
  const state = chunks > 1 ? backend.zeros(batch * E, N) : null
  const each = Array.from({ length: chunks }, (_, c) => {
    const length = Math.min(chunk, rows - c * chunk)
    const first = (x: Tensor) => backend.rows(x, 0, batch * length)
    return {
      ...args,
      ...{ u: first(args.u), dt: first(args.dt), z: args.z && first(args.z), B: first(args.B), C: first(args.C) },
      segments: batchOf(batch, length, c * chunk, rows),
    }
  })
  const scan = () => {
    for (const one of each.slice(0, -1)) backend.release(backend.selectiveScan(one, state))
    return backend.selectiveScan(each[chunks - 1], state)
  }
  return { args, scan }
}

/** `length` rows of each of `batch` sequences of `rows` rows, after their first `start`; each with a state where they are cut. */
function batchOf(batch: number, length: number, start: number, rows: number): Segments {
  const cut = length < rows
  return {
    offsets: Int32Array.from({ length: batch + 1 }, (_, s) => s * length),
    start: new Float64Array(batch).fill(start),
    ends: new Uint8Array(batch).fill(start + length === rows ? 1 : 0),
    slot: Int32Array.from({ length: batch }, (_, s) => (cut ? s : -1)),
  }
}
