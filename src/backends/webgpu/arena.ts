import { usages } from './buffers.js'
import type { OpenDevice } from './dawn.js'

/** Offsets of bindings are multiples of it on every GPU. */
const alignment = 256
const pageBytes = 2 ** 20

interface Page {
  buffer: GPUBuffer
  bytes: Uint8Array<ArrayBuffer>
  used: number
}

/** Numbers and tables of the commands that wait for the next submit: written to the GPU together, just before it. */
export class Arena {
  private readonly pages: Page[] = []

  constructor(private readonly gpu: OpenDevice) {}

  /** Copies them, and says where they will be. */
  add(data: Uint32Array | Int32Array): GPUBufferBinding {
    const size = Math.max(16, Math.ceil(data.byteLength / 16) * 16)
    let page = this.pages.at(-1)
    if (!page || page.used + size > page.bytes.length) {
      page = this.newPage(Math.max(pageBytes, size))
      this.pages.push(page)
    }
    const offset = page.used
    page.bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset)
    page.used = Math.ceil((offset + size) / alignment) * alignment
    return { buffer: page.buffer, offset, size }
  }

  /** Called just before a submit. */
  send(): void {
    for (const { buffer, bytes, used } of this.pages)
      this.gpu.device.queue.writeBuffer(buffer, 0, bytes, 0, Math.min(used, bytes.length))
  }

  /** Called after the submit: the first page is used again, as the GPU has what it needs in order. */
  clear(): void {
    for (const { buffer } of this.pages.splice(1)) buffer.destroy()
    for (const page of this.pages) page.used = 0
  }

  close(): void {
    for (const { buffer } of this.pages.splice(0)) buffer.destroy()
  }

  private newPage(size: number): Page {
    const usage = usages.uniform | usages.storage | usages.copyTarget
    return { buffer: this.gpu.device.createBuffer({ size, usage }), bytes: new Uint8Array(size), used: 0 }
  }
}
