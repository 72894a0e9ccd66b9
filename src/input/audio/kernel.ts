import { newMemory, readWasm } from '../../runtime/wasm.js'
import { bindKernels, type Kernels } from './kernels.generated.js'

/** The kernel of resampling (kernels/polyphase.ts) and its memory; addresses in bytes. */
export interface Kernel extends Kernels {
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
  return {
    ...bindKernels(new WebAssembly.Instance(module, { env: { memory } })),
    reserve(bytes) {
      const missing = bytes - memory.buffer.byteLength
      if (missing > 0) memory.grow(Math.ceil(missing / page))
    },
    float64: (at, length) => new Float64Array(memory.buffer, at, length),
    float32: (at, length) => new Float32Array(memory.buffer, at, length),
  }
}
