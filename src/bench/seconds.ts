import type { Backend, Tensor } from '../backends/backend.js'

/** ms that a series of calls takes at the least. */
const slice = 100
/** Calls that a device may be behind. */
const mostBehind = 8

/**
 * Measures seconds per call; the first call of all is not counted. A device may only take note of what it is asked for, so a number of
 * each result is read: calls are sent to it one by one, and while it is at one the next is prepared.
 */
export function timer(backend: Backend, call: () => Tensor | Promise<Tensor>): () => Promise<number> {
  const series = async (calls: number) => {
    const start = performance.now()
    const reads: Promise<unknown>[] = []
    for (let i = 0; i < calls; i++) {
      const y = await call()
      const read = backend.download(backend.rows(y, 0, 1))
      read.catch(() => {}) // thrown where it is awaited, unless one before it was
      reads.push(read)
      backend.release(y)
      if (reads.length > mostBehind) await reads.shift()
    }
    for (const read of reads) await read
    return performance.now() - start
  }
  let warm = false
  let calls = 1
  return async () => {
    if (!warm) await series(1)
    warm = true
    for (; ; calls *= 2) {
      const ms = await series(calls)
      if (ms >= slice) return ms / 1000 / calls
    }
  }
}
