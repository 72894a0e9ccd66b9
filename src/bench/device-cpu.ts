import { openCpuBackend } from '../backends/cpu/cpu.js'
import { cpu, newTensor } from '../backends/cpu/tensor.js'
import type { MeasuredDevice } from './device.js'
import { maker } from './tensors.js'

/** Numbers that stay in the nearest cache, and how often a call goes over them. */
const width = 4096
const turns = 64

/** One core of the processor. */
export async function openMeasuredCpu(): Promise<MeasuredDevice> {
  const backend = await openCpuBackend()
  return {
    backend,
    tensorBytes: Number.POSITIVE_INFINITY,
    copy: (x) => backend.activate(x, 'none'),
    exponentials: () => {
      const x = cpu(maker(backend)(1, width))
      const run = () => {
        const y = newTensor(backend.machine, 1, width)
        for (let turn = 0; turn < turns; turn++) backend.machine.kernels.powers({ width: 4 * width, x: x.at, y: y.at })
        return y
      }
      return { count: width * turns, run }
    },
  }
}
