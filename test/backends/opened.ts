import type { Backend } from '../../src/backends/backend.js'
import { openCpuBackend } from '../../src/backends/cpu/cpu.js'
import { openReferenceBackend } from '../../src/backends/reference/index.js'

/** The backends under test, the judge first. */
export const backends: [name: Backend['name'], open: () => Promise<Backend>][] = [
  ['reference', async () => openReferenceBackend()],
  ['cpu', () => openCpuBackend()],
]
