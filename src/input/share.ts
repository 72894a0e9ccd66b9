import { statSync } from 'node:fs'
import { readBytes } from './bytes.js'

/** How much of the inputs was read. */
export class InputShare {
  private read = 0
  private size: number | null | undefined

  constructor(private readonly paths: readonly string[]) {}

  /** `readBytes` of one of the paths, counted. */
  async *bytes(path: string): AsyncGenerator<Uint8Array> {
    for await (const block of readBytes(path)) {
      this.read += block.length
      yield block
    }
  }

  /** From 0 to 1; undefined where the size is not known, as that of a pipe. */
  get value(): number | undefined {
    if (this.size === undefined) this.size = sizeOf(this.paths)
    return this.size ? Math.min(1, this.read / this.size) : undefined
  }
}

/** Bytes of all files; null if one of the paths is no plain file. */
function sizeOf(paths: readonly string[]): number | null {
  let size = 0
  for (const path of paths) {
    const found = path === '-' ? undefined : statSync(path, { throwIfNoEntry: false })
    if (!found?.isFile()) return null
    size += found.size
  }
  return size
}
