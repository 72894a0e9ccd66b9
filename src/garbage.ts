import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const mostBytes = 4 * 2 ** 20
/** After so many looks at the youngest objects one at all: buffers that were in use at two looks count as old from then on. */
const looks = 8

/**
 * Sweeps up buffers that die young. V8 lets 32 MB of them pile up in every thread before it looks, and many more where the
 * objects that own them are small. A look at the youngest objects alone takes less than a millisecond.
 */
export class Garbage {
  private bytes = 0
  private looked = 0
  private readonly look: ((options: { type: 'minor' | 'major' }) => void) | null

  constructor() {
    setFlagsFromString('--expose-gc')
    const gc: unknown = runInNewContext('globalThis.gc')
    this.look = typeof gc === 'function' ? (gc as Exclude<typeof this.look, null>) : null
  }

  /** So many bytes have been made that are needed for a moment only. */
  made(bytes: number): void {
    this.bytes += bytes
    if (this.bytes < mostBytes) return
    this.bytes = 0
    this.look?.({ type: ++this.looked % looks === 0 ? 'major' : 'minor' })
  }
}
