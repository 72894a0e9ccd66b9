import type { Backend } from '../../src/backends/backend.js'
import { openCpuBackend } from '../../src/backends/cpu/cpu.js'
import { openReferenceBackend } from '../../src/backends/reference/index.js'
import { openTfjsBackend } from '../../src/backends/tfjs/tfjs.js'

type Opened = [name: Backend['name'], open: () => Promise<Backend>]

/** The backends under test, the judge first. */
export const backends: Opened[] = [
  ['reference', async () => openReferenceBackend()],
  ['cpu', () => openCpuBackend()],
]

/** Those without gradients, on which a cut changes a result within the tolerance of float32. */
export const inferring: Opened[] = [['tfjs', openTfjsBackend]]
