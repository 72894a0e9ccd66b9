import { type Gpu, openGpu } from '../../src/backends/webgpu/dawn.js'
import { probeWebgpu } from '../../src/backends/webgpu/probe.js'

/**
 * What the tests of webgpu run on, `scripts/software-gpu.sh` where there is no card; null: they are skipped. Probed first, as drivers
 * that are no good print lines.
 */
const probe = await probeWebgpu()
export const gpu: Gpu | null = probe.works ? await openGpu() : null
/** Types of its matrices. */
export const matrices = probe.gpu?.matrices ?? []
