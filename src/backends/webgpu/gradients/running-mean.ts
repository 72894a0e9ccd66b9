import type { Gradients } from '../../backend.js'
import { cell, type Kernel } from '../kernel.js'
import type { Machine } from '../machine.js'
import { gpu } from '../tensor.js'

const kernel: Kernel = {
  name: 'running mean',
  reads: ['x'],
  writes: ['mean'],
  counts: ['rows', 'cols'],
  reals: ['share'],
  threads: 64,
  body: `${cell}
  let at = p.mean_at + r * p.mean_step + c;
  mean[at] += p.share * (x[p.x_at + r * p.x_step + c] - mean[at]);`,
}

export const runningMean =
  (machine: Machine): Gradients['runningMean'] =>
  (mean, x, share) => {
    const { rows, cols } = mean
    machine.run(kernel, {
      tensors: { mean: gpu(mean), x: gpu(x, rows, cols) },
      numbers: { rows, cols, share },
      blocks: Math.ceil((rows * cols) / 64),
    })
  }
