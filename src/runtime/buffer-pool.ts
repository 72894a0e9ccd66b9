import { discard } from './discard.js'

/**
 * Buffers that go round: filled here, read by a worker, sent back. Those that come in by message are garbage that V8
 * does not see until there are tens of megabytes of it, and memory would grow for minutes.
 */
export class BufferPool {
  private readonly buffers: ArrayBuffer[] = []
  /** Bytes of the largest that was asked for; smaller ones are freed, and all where none is asked for. */
  private largest = 0

  /** [length] numbers, not cleared. */
  floats(length: number): Float32Array<ArrayBuffer> {
    if (4 * length > this.largest) {
      this.largest = 4 * length
      for (const buffer of this.buffers.splice(0)) discard(buffer)
    }
    return new Float32Array(this.buffers.pop() ?? new ArrayBuffer(this.largest), 0, length)
  }

  /** Parts, one after the other, and gives their buffers; of one there is no copy. */
  joined(parts: readonly Float32Array[]): Float32Array {
    if (parts.length === 1) return parts[0]
    const all = this.floats(parts.reduce((sum, { length }) => sum + length, 0))
    let at = 0
    for (const part of parts) {
      all.set(part, at)
      at += part.length
      this.give(part.buffer as ArrayBuffer)
    }
    return all
  }

  give(buffer: ArrayBuffer): void {
    if (this.largest > 0 && buffer.byteLength >= this.largest) this.buffers.push(buffer)
    else discard(buffer)
  }
}
