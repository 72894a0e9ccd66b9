import type { Probe } from '../backend.js'
import { openCpuBackend } from './cpu.js'

/** Opens the backend as a model would, and says what it chose. */
export async function probeCpu(): Promise<Probe> {
  try {
    const backend = await openCpuBackend()
    const { kernels, matrixProducts } = backend
    await backend.close()
    const detail = [
      kernels === 'relaxed'
        ? 'relaxed SIMD kernels, because they run here'
        : 'plain SIMD kernels, because this Node or processor has no relaxed SIMD',
      matrixProducts === 'onnxruntime'
        ? 'matrix products by ONNX Runtime'
        : 'matrix products by our own kernel, slower, because ONNX Runtime does not run here',
    ]
    return { works: true, detail: detail.join('; ') }
  } catch (error) {
    return { works: false, detail: (error instanceof Error ? error.message : String(error)).split('\n')[0] }
  }
}
