/**
 * Buffers that go round: filled here, read by a worker, sent back. Those that come in by message are garbage that V8 does not
 * see until there are tens of megabytes of it, and memory would grow for minutes.
 */
export class Spare {
  private readonly buffers: ArrayBuffer[] = []
  /** Bytes of the largest that was asked for; smaller ones are let go. */
  private largest = 0

  /** [length] numbers, not cleared. */
  floats(length: number): Float32Array<ArrayBuffer> {
    this.largest = Math.max(this.largest, 4 * length)
    return new Float32Array(this.buffers.pop() ?? new ArrayBuffer(this.largest), 0, length)
  }

  give(buffer: ArrayBuffer): void {
    if (buffer.byteLength >= this.largest) this.buffers.push(buffer)
  }
}
