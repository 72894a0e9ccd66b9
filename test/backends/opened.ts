import type { Backend } from '../../src/backends/backend.js'
import { openCpuBackend } from '../../src/backends/cpu/cpu.js'
import { openReferenceBackend } from '../../src/backends/reference/index.js'
import { openTfjsBackend } from '../../src/backends/tfjs/tfjs.js'
import { openWebgpuBackend } from '../../src/backends/webgpu/webgpu.js'
import { gpu } from './has-gpu.js'

export interface UnderTest {
  name: string
  open: () => Promise<Backend>
  gradients: boolean
  /** A sequence has the same bytes wherever it is cut. */
  sameBytes: boolean
  /** Every how many rows a sequence is cut: a call of a device takes longer than the work of a few rows. */
  cutEvery: number
  /** Times the tolerance of float32. The functions of a GPU are coarser; a processor that plays one has its own. */
  slack: number
}

const exact = { gradients: true, sameBytes: true, cutEvery: 1, slack: 1 }
const onGpu = { gradients: true, cutEvery: 5, slack: gpu?.adapter.info.isFallbackAdapter ? 1 : 50 }

/** The backends under test, the judge first. */
export const backends: UnderTest[] = [
  { name: 'reference', open: async () => openReferenceBackend(), ...exact },
  { name: 'cpu', open: () => openCpuBackend(), ...exact },
  {
    name: 'tfjs',
    open: openTfjsBackend,
    gradients: false,
    sameBytes: false,
    cutEvery: 5,
    slack: 1,
  },
]
if (gpu)
  backends.push(
    { name: 'webgpu', open: () => openWebgpuBackend({ scan: 'sequential' }), ...onGpu, sameBytes: true },
    { name: 'webgpu in pieces', open: () => openWebgpuBackend({ scan: 'pieces' }), ...onGpu, sameBytes: false },
  )
