import type { Backend } from './backend.js'

export type Device = 'cpu' | 'reference'

/** Opens a backend; its code and libraries are loaded only now. */
export async function openBackend(device: Device): Promise<Backend> {
  switch (device) {
    case 'reference':
      return (await import('./reference/index.js')).openReferenceBackend()
    case 'cpu':
      return (await import('./cpu/cpu.js')).openCpuBackend()
    default:
      return device satisfies never
  }
}
