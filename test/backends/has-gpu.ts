import { type Gpu, openGpu } from '../../src/backends/webgpu/dawn.js'

/** What the tests of webgpu run on, `scripts/software-gpu.sh` where there is no card; null: they are skipped. */
export const gpu: Gpu | null = await openGpu().catch(() => null)
