import { createGunzip } from 'node:zlib'

/** Bytes of text that zlib makes at a time. */
const chunkSize = 1 << 18

/** One zlib that unpacks gzip: calls to be awaited, and what came of them. */
export class Unpacker {
  /** What zlib said when it failed; later calls do nothing. */
  failure: Error | undefined
  /** Zero bytes followed a member: zlib takes no more. */
  ended = false
  /** Bytes of text that were taken. */
  taken = 0
  private texts: Buffer[] = []
  private readonly gunzip = createGunzip({ chunkSize })
  private wake = () => {}

  constructor() {
    this.gunzip.on('data', (text: Buffer) => this.texts.push(text))
    this.gunzip.on('error', (error) => {
      this.failure ??= error
    })
    this.gunzip.on('end', () => {
      this.ended = true
    })
    // After an error, and after its end, zlib calls no one back: it closes.
    this.gunzip.on('close', () => this.wake())
  }

  /** Packed bytes that were unpacked. */
  get consumed() {
    return this.gunzip.bytesWritten
  }

  /** Resolves when all of `bytes` is unpacked, or cannot be. */
  push(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0 || this.ended) return Promise.resolve()
    return this.settle((done) => this.gunzip.write(bytes, () => done()))
  }

  /** No more follows: a failure if the last member is not whole. */
  finish(): Promise<void> {
    return this.settle(() => this.gunzip.end())
  }

  /** The text since the last call. */
  take(): Buffer[] {
    const { texts } = this
    this.texts = []
    for (const { length } of texts) this.taken += length
    return texts
  }

  /** The same without what lies in front of byte `from` of the whole text, in one block. */
  takeBeyond(from: number): Buffer[] {
    const before = this.taken
    const text = Buffer.concat(this.take()).subarray(Math.max(0, from - before))
    return text.length > 0 ? [text] : []
  }

  close(): void {
    this.gunzip.destroy()
  }

  private settle(start: (done: () => void) => void): Promise<void> {
    return new Promise((resolve) => {
      this.wake = resolve
      if (this.gunzip.destroyed) resolve()
      else start(resolve)
    })
  }
}
