import { newMemory, readWasm } from '../../runtime/wasm.js'

/** The kernel of resampling (kernels/polyphase.ts) and its memory; addresses in bytes. */
export interface Kernel {
  polyphase(...args: number[]): void
  between(...args: number[]): void
  /** Makes room; views from before are void. */
  reserve(bytes: number): void
  float64(at: number, length: number): Float64Array
  float32(at: number, length: number): Float32Array
}

const page = 1 << 16
let module: WebAssembly.Module | undefined

export function openKernel(): Kernel {
  module ??= new WebAssembly.Module(readWasm('polyphase'))
  const memory = newMemory(1, 65536)
  const { exports } = new WebAssembly.Instance(module, { env: { memory } })
  return {
    polyphase: exports.polyphase as Kernel['polyphase'],
    between: exports.between as Kernel['between'],
    reserve(bytes) {
      const missing = bytes - memory.buffer.byteLength
      if (missing > 0) memory.grow(Math.ceil(missing / page))
    },
    float64: (at, length) => new Float64Array(memory.buffer, at, length),
    float32: (at, length) => new Float32Array(memory.buffer, at, length),
  }
}
