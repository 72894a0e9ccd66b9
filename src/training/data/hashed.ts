import { createHash } from 'node:crypto'

export const sha256Of = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** Bytes with the SHA-256 of what was read of them: a pipe cannot be read a second time for its sum. */
export class Hashed implements AsyncIterable<Uint8Array> {
  private readonly hash = createHash('sha256')

  constructor(private readonly bytes: AsyncIterable<Uint8Array>) {}

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for await (const block of this.bytes) {
      this.hash.update(block)
      yield block
    }
  }

  /** Once, after the last byte. */
  sha256(): string {
    return this.hash.digest('hex')
  }
}
