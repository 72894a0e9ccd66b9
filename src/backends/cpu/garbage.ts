import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const mostBytes = 4 * 2 ** 20

/**
 * Sweeps up after ONNX Runtime: its binding copies every result into an array of its own, besides the memory that it was given for
 * it, and V8 lets 32 MB of them pile up in every thread before it looks. A look at the youngest objects alone takes less than a millisecond.
 */
export class Garbage {
  private bytes = 0
  private readonly sweep: ((options: { type: 'minor' }) => void) | null

  constructor() {
    setFlagsFromString('--expose-gc')
    const gc: unknown = runInNewContext('globalThis.gc')
    this.sweep = typeof gc === 'function' ? (gc as Exclude<typeof this.sweep, null>) : null
  }

  /** So many bytes of results have been made. */
  made(bytes: number): void {
    this.bytes += bytes
    if (this.bytes < mostBytes) return
    this.bytes = 0
    this.sweep?.({ type: 'minor' })
  }
}
