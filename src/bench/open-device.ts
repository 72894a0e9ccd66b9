import { type Device, devices } from '../backends/registry.js'
import type { MeasuredDevice } from './device.js'
import { maker } from './tensors.js'

/** Errors: those of the device. */
export async function openDevice(name: Device): Promise<MeasuredDevice> {
  if (name === 'cpu') return (await import('./device-cpu.js')).openMeasuredCpu()
  if (name === 'webgpu') return (await import('./device-webgpu.js')).openMeasuredWebgpu()
  const backend = await devices[name].open()
  return {
    backend,
    tensorBytes: Number.POSITIVE_INFINITY,
    copy: (x) => backend.activate(x, 'none'),
    // Each number of silu takes one, and a division.
    exponentials: () => {
      const x = maker(backend)(256, 256)
      return { count: x.rows * x.cols, run: () => backend.activate(x, 'silu') }
    },
  }
}
