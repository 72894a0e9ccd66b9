import { type Backend, type FactorType, factorTypes } from '../backend.js'

/** Matrices that a subgroup multiplies in one step, `[M, K]` by `[K, N]`, and adds up in float32. */
export interface SubgroupMatrices {
  factor: FactorType
  M: number
  N: number
  K: number
  /** Threads of a workgroup: as a rule four subgroups. WebGPU wants a multiple of the largest subgroup that the GPU might choose. */
  lanes: number
}

/** What Dawn says of them: they are not part of WebGPU yet. */
interface MatrixInfo {
  subgroupMaxSize: number
  subgroupMatrixConfigs: { componentType: string; resultComponentType: string; M: number; N: number; K: number }[]
}

const experiment = 'chromium-experimental-subgroup-matrix'
/** What they need. */
export const featuresOf: Readonly<Record<FactorType, readonly string[]>> = {
  f32: ['subgroups', experiment],
  f16: ['subgroups', experiment, 'shader-f16'],
}

/** Those of a GPU that fit the products here (matrix-product.ts), of each type of factors the first: drivers name the best first. */
export function matricesOf({ features, info }: Pick<GPUAdapter, 'features' | 'info'>): SubgroupMatrices[] {
  if (!features.has(experiment)) return []
  const { subgroupMatrixConfigs, subgroupMaxSize } = info as GPUAdapterInfo & MatrixInfo
  const lanes = Math.max(4 * Math.min(32, subgroupMaxSize), subgroupMaxSize)
  const found: SubgroupMatrices[] = []
  for (const factor of factorTypes) {
    if (!featuresOf[factor].every((feature) => features.has(feature))) continue
    const fits = ({ componentType, resultComponentType, M, N, K }: MatrixInfo['subgroupMatrixConfigs'][number]) =>
      componentType === factor &&
      resultComponentType === 'f32' &&
      16 % M === 0 &&
      16 % N === 0 &&
      (factor === 'f16' ? 32 : 16) % K === 0
    const config = [...subgroupMatrixConfigs].find(fits)
    if (config) found.push({ factor, M: config.M, N: config.N, K: config.K, lanes })
  }
  return found
}

/**
 * Whether a product is what it should be, over a few tiles with odd ends, of whole numbers so small that float16 has no error: drivers
 * are known that give others.
 */
export async function multipliesRight(
  backend: Pick<Backend, 'upload' | 'linear' | 'download' | 'release'>,
): Promise<boolean> {
  const [T, I, O] = [131, 37, 67]
  const x = Float32Array.from({ length: T * I }, (_, i) => ((i * 7) % 13) - 6)
  const w = Float32Array.from({ length: O * I }, (_, i) => ((i * 5) % 17) - 8)
  const [xs, ws] = [backend.upload(x, T, I), backend.upload(w, O, I)]
  const ys = await backend.linear(xs, ws)
  const y = await backend.download(ys)
  backend.release(xs, ws, ys)
  return y.every((value, at) => {
    const [t, o] = [Math.floor(at / O), at % O]
    let sum = 0
    for (let i = 0; i < I; i++) sum += x[t * I + i] * w[o * I + i]
    return value === sum
  })
}
