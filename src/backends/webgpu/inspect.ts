import type { Probe } from '../backend.js'
import { openGpu } from './dawn.js'

/** Those that would make a difference here. */
const features = ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix', 'timestamp-query'] as const

/** Opens the GPU as a model would, and says which it is. */
async function inspect(): Promise<Probe> {
  try {
    const { adapter, facts } = await openGpu()
    const { info, limits } = adapter
    const names = [facts.name, info.description, info.vendor, info.architecture].filter(Boolean)
    const found = features.filter((feature) => adapter.features.has(feature))
    const detail = [
      `${[...new Set(names)].join(', ')}${facts.software ? ' (a processor that plays a GPU)' : ''}`,
      `tensors of up to ${Math.floor(facts.tensorBytes / 2 ** 20)} MiB`,
      `${limits.maxStorageBuffersPerShaderStage} storage buffers, ${limits.maxComputeWorkgroupStorageSize / 2 ** 10} KiB of workgroup memory`,
      found.length > 0 ? `has ${found.join(', ')}` : 'no optional features',
      facts.software ? 'only when asked for (-d webgpu)' : 'when asked for (-d webgpu, -d auto)',
    ]
    return { works: true, detail: detail.join('; '), gpu: facts }
  } catch (error) {
    return { works: false, detail: (error instanceof Error ? error.message : String(error)).split('\n')[0] }
  }
}

// Run by itself: see probe.ts.
process.stdout.write(JSON.stringify(await inspect()))
