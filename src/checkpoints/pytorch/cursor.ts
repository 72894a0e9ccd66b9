import { readSync } from 'node:fs'
import { broken } from '../files.js'

const windowBytes = 2 ** 16

/** Reads a part of a file from front to back through a window, so that however long it is little of it is held. */
export class Cursor {
  private readonly window = Buffer.alloc(windowBytes)
  private start = 0
  private filled = 0

  constructor(
    readonly path: string,
    private readonly fd: number,
    /** Position in the file of the next byte, and of the first that is not to be read. */
    public at: number,
    readonly end: number,
  ) {}

  /** The next `length` bytes, good until the next call. Errors: 69 where there are fewer, or more than any text or number takes. */
  take(length: number): Buffer {
    if (length > windowBytes) throw this.broken(`holds a text of ${length} bytes, expected at most ${windowBytes}`)
    const from = this.advance(length)
    return this.window.subarray(from, from + length)
  }

  byte(): number {
    return this.window[this.advance(1)]
  }

  /** An unsigned number of 64 bits. Errors: 69 above 2^53. */
  size(): number {
    const size = this.take(8).readBigUInt64LE()
    if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw this.broken(`holds a size of ${size}`)
    return Number(size)
  }

  /** Steps over bytes without reading them. */
  skip(length: number): void {
    if (length > this.end - this.at) throw this.broken('ends too early')
    this.at += length
  }

  broken(what: string): Error {
    return broken(this.path, `${what} (byte ${this.at})`)
  }

  /** Steps over so many bytes and has them in the window; where they begin there. */
  private advance(length: number): number {
    if (length > this.end - this.at) throw this.broken('ends too early')
    if (this.at + length > this.start + this.filled) this.fill()
    const from = this.at - this.start
    if (from + length > this.filled) throw this.broken('ends too early')
    this.at += length
    return from
  }

  private fill(): void {
    this.start = this.at
    this.filled = 0
    const length = Math.min(windowBytes, this.end - this.at)
    while (this.filled < length) {
      const read = readSync(this.fd, this.window, this.filled, length - this.filled, this.start + this.filled)
      if (read === 0) return
      this.filled += read
    }
  }
}
