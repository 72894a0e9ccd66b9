import { exitCodes, UserError } from '../../errors.js'
import { newMemory } from '../../runtime/wasm.js'

const alignment = 64
const pageBytes = 65536
/** One page less than 4 GiB, so that an address after the last byte still fits 32 bits. */
const maxPages = 65535

interface Block {
  at: number
  bytes: number
}

/**
 * The WebAssembly memory of one backend and its allocator: best fit over free blocks kept in address order and merged
 * with their neighbours, so that chunks of ever changing lengths do not fragment it. Addresses are bytes, up to 4 GiB.
 */
export class Memory {
  readonly wasm = newMemory(16, maxPages)
  /** Address 0 means "none" to the kernels; the first pages belong to the compiled modules. */
  private end = pageBytes
  private readonly free: Block[] = []
  private readonly taken = new Map<number, number>()
  private views = viewsOf(this.wasm.buffer)

  /** Fresh after every growth of the memory: never keep one over an allocation. */
  get f32(): Float32Array<ArrayBuffer> {
    return this.current().f32
  }

  get f64(): Float64Array<ArrayBuffer> {
    return this.current().f64
  }

  get i32(): Int32Array<ArrayBuffer> {
    return this.current().i32
  }

  get usedBytes(): number {
    let sum = 0
    for (const bytes of this.taken.values()) sum += bytes
    return sum
  }

  /** Address of `bytes` bytes, a multiple of 64; the contents are undefined. */
  allocate(bytes: number): number {
    const size = Math.max(alignment, Math.ceil(bytes / alignment) * alignment)
    const block = this.bestFit(size)
    const at = block ? this.takeFrom(block, size) : this.extend(size)
    this.taken.set(at, size)
    return at
  }

  release(at: number): void {
    const bytes = this.taken.get(at)
    if (bytes === undefined) throw new Error(`nothing is allocated at ${at}`)
    this.taken.delete(at)
    const index = this.firstAfter(at)
    const before = this.free[index - 1]
    const after = this.free[index]
    const joinsBefore = before !== undefined && before.at + before.bytes === at
    const joinsAfter = after !== undefined && at + bytes === after.at
    if (joinsBefore) {
      before.bytes += bytes + (joinsAfter ? after.bytes : 0)
      if (joinsAfter) this.free.splice(index, 1)
    } else if (joinsAfter) {
      after.at = at
      after.bytes += bytes
    } else {
      this.free.splice(index, 0, { at, bytes })
    }
  }

  private bestFit(size: number): Block | undefined {
    let best: Block | undefined
    for (const block of this.free) if (block.bytes >= size && (!best || block.bytes < best.bytes)) best = block
    return best
  }

  private takeFrom(block: Block, size: number): number {
    const at = block.at
    block.at += size
    block.bytes -= size
    if (block.bytes === 0) this.free.splice(this.free.indexOf(block), 1)
    return at
  }

  /** New room at the end, together with a free block that lies there. */
  private extend(size: number): number {
    const last = this.free.at(-1)
    const atEnd = last !== undefined && last.at + last.bytes === this.end
    const at = atEnd ? last.at : this.end
    const pages = Math.ceil((at + size) / pageBytes) - this.wasm.buffer.byteLength / pageBytes
    if (pages > 0) this.grow(pages, size)
    if (atEnd) this.free.pop()
    this.end = at + size
    return at
  }

  private grow(pages: number, size: number): void {
    try {
      this.wasm.grow(pages)
    } catch {
      const mb = (bytes: number) => Math.ceil(bytes / 1e6)
      const room = `${mb(this.usedBytes)} MB in use, at most ${mb(maxPages * pageBytes)} MB per thread`
      throw new UserError(
        `out of memory: ${mb(size)} MB more asked for, ${room}; a smaller --chunk needs less`,
        exitCodes.unavailable,
      )
    }
  }

  private firstAfter(at: number): number {
    let low = 0
    let high = this.free.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.free[middle].at < at) low = middle + 1
      else high = middle
    }
    return low
  }

  private current() {
    if (this.views.f32.buffer !== this.wasm.buffer) this.views = viewsOf(this.wasm.buffer)
    return this.views
  }
}

function viewsOf(buffer: ArrayBuffer) {
  return { f32: new Float32Array(buffer), f64: new Float64Array(buffer), i32: new Int32Array(buffer) }
}
