import type { FactorType, Probe } from '../backend.js'
import { type Gpu, openGpu } from './dawn.js'
import { multipliesRight, type SubgroupMatrices } from './matrices.js'
import { openWebgpuBackend } from './webgpu.js'

/** Those that would make a difference here. */
const features = ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix', 'timestamp-query'] as const

/** Opens the GPU as a model would, and says which it is; then tries its matrices, where a driver may end the process. */
async function* inspect(tried: readonly string[]): AsyncGenerator<Probe> {
  try {
    const gpu = await openGpu()
    const matrices = gpu.matrices.filter(({ factor }) => tried.includes(factor))
    yield found(
      gpu,
      matrices.map((those) => `${nameOf(those)}: not used, the driver does not survive them`),
      [],
    )
    if (matrices.length === 0) return
    const right: SubgroupMatrices[] = []
    for (const those of matrices) if (await areRight(those)) right.push(those)
    const words = matrices.map(
      (those) => nameOf(those) + (right.includes(those) ? '' : ': not used, they give wrong products'),
    )
    yield found(
      gpu,
      words,
      right.map(({ factor }) => factor),
    )
  } catch (error) {
    yield { works: false, detail: (error instanceof Error ? error.message : String(error)).split('\n')[0] }
  }
}

const nameOf = ({ factor, M, N, K }: SubgroupMatrices) =>
  `matrices of ${factor === 'f16' ? 'float16' : 'float32'} (${M} x ${K} by ${K} x ${N})`

/** A driver that does not compile them loses no device. */
async function areRight({ factor }: SubgroupMatrices): Promise<boolean> {
  try {
    const backend = await openWebgpuBackend({ matrices: factor })
    return await multipliesRight(backend)
  } catch {
    return false
  }
}

function found({ adapter, facts }: Gpu, words: string[], matrices: FactorType[]): Probe {
  const { info, limits } = adapter
  const names = [facts.name, info.description, info.vendor, info.architecture].filter(Boolean)
  const offered = features.filter((feature) => adapter.features.has(feature))
  const detail = [
    `${[...new Set(names)].join(', ')}${facts.software ? ' (a processor that plays a GPU)' : ''}`,
    `tensors of up to ${Math.floor(facts.tensorBytes / 2 ** 20)} MiB`,
    `${limits.maxStorageBuffersPerShaderStage} storage buffers, ${limits.maxComputeWorkgroupStorageSize / 2 ** 10} KiB of workgroup memory`,
    offered.length > 0 ? `has ${offered.join(', ')}` : 'no optional features',
    ...words,
    facts.software ? 'only when asked for (-d webgpu)' : 'when asked for (-d webgpu, -d auto)',
  ]
  return { works: true, detail: detail.join('; '), gpu: { ...facts, matrices } }
}

// Run by itself, with the types of the matrices to try: see probe.ts.
for await (const probe of inspect(process.argv.slice(2))) process.stdout.write(`${JSON.stringify(probe)}\n`)
