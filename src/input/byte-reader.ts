import { blockSize } from './bytes.js'

/** Reads forward through blocks of bytes, however they are cut. Holds no more than a block and what `peek` asks for. */
export class ByteReader {
  /** Bytes passed so far. */
  position = 0
  private block: Uint8Array = new Uint8Array(0)
  private readonly source: AsyncIterator<Uint8Array>

  constructor(source: AsyncIterable<Uint8Array>) {
    this.source = source[Symbol.asyncIterator]()
  }

  /** The next `length` bytes, fewer at the end, without passing them. They are valid until the next call. */
  async peek(length: number): Promise<Uint8Array> {
    while (this.block.length < length) {
      // A copy: the source may fill the place of this block as soon as it hands out the next one.
      const held = this.block.length === 0 ? this.block : Uint8Array.from(this.block)
      const next = await this.source.next()
      this.block = next.done ? held : held.length === 0 ? next.value : Buffer.concat([held, next.value])
      if (next.done) break
    }
    return this.block.subarray(0, length)
  }

  /** The next `length` bytes, fewer at the end, as a copy. */
  async take(length: number): Promise<Uint8Array> {
    const bytes = Uint8Array.from(await this.peek(length))
    this.pass(bytes.length)
    return bytes
  }

  /** Passes over `length` bytes; returns how many there were. */
  async skip(length: number): Promise<number> {
    const start = this.position
    for await (const _ of this.blocks(length));
    return this.position - start
  }

  /** The next `length` bytes, or all there are, block by block. Each is valid until the next one is asked for. */
  async *blocks(length = Number.POSITIVE_INFINITY): AsyncGenerator<Uint8Array> {
    for (let left = length; left > 0; ) {
      await this.peek(1)
      const bytes = this.block.subarray(0, Math.min(left, blockSize))
      if (bytes.length === 0) return
      this.pass(bytes.length)
      left -= bytes.length
      yield bytes
    }
  }

  /** All that is left, with what was peeked at. */
  async *rest(): AsyncGenerator<Uint8Array> {
    try {
      yield* this.blocks()
    } finally {
      await this.close()
    }
  }

  /** Lets go of the source before its end. */
  async close() {
    await this.source.return?.()
  }

  private pass(length: number) {
    this.position += length
    this.block = this.block.subarray(length)
  }
}
