import { exitCodes, UserError } from '../../errors.js'
import type { OpenDevice } from './dawn.js'

/** A buffer and the number of the submit whose commands last touched it. */
export interface Block {
  readonly buffer: GPUBuffer
  readonly bytes: number
  lastUsed: number
}

// The flags of GPUBufferUsage, a global that only browsers have.
export const usages = { mapRead: 0x1, copySource: 0x4, copyTarget: 0x8, uniform: 0x40, storage: 0x80 }

/** Buffers of one use, kept for the next tensor of about the same size when they are released. */
export class BufferPool {
  private readonly all = new Set<Block>()
  private readonly free = new Map<number, Block[]>()
  /** Of all its buffers. */
  bytes = 0

  /** `limit`: bytes of the largest buffer. */
  constructor(
    private readonly gpu: OpenDevice,
    private readonly usage: number,
    private readonly limit: number,
  ) {}

  /** Contents undefined. Errors: UserError with exit code 69 for more than the GPU binds at once. */
  take(bytes: number): Block {
    if (bytes > this.limit) throw tooLarge(bytes, this.limit)
    const size = Math.min(sizeClass(bytes), this.limit)
    const kept = this.free.get(size)?.pop()
    if (kept) return kept
    const buffer = this.gpu.device.createBuffer({ size, usage: this.usage })
    const block = { buffer, bytes: size, lastUsed: -1 }
    this.all.add(block)
    this.bytes += size
    return block
  }

  give(block: Block): void {
    const kept = this.free.get(block.bytes)
    if (kept) kept.push(block)
    else this.free.set(block.bytes, [block])
  }

  close(): void {
    for (const { buffer } of this.all) buffer.destroy()
    this.all.clear()
    this.free.clear()
  }
}

const tooLarge = (bytes: number, limit: number) =>
  new UserError(
    `this GPU takes tensors of up to ${mebibytes(limit)}, and one has ${mebibytes(bytes)}: compute fewer rows at a time (--chunk), or use the device cpu`,
    exitCodes.unavailable,
  )

const mebibytes = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`

/** The bytes rounded up to a number with three leading bits, so at most a quarter more: few sizes, which are met again. */
function sizeClass(bytes: number): number {
  const unit = Math.max(256, 2 ** (Math.floor(Math.log2(Math.max(1, bytes))) - 2))
  return Math.ceil(Math.max(1, bytes) / unit) * unit
}
