import type { Tensor } from '../backends/backend.js'
import type { Kernel } from '../backends/webgpu/kernel.js'
import type { Machine } from '../backends/webgpu/machine.js'
import { gpu } from '../backends/webgpu/tensor.js'
import { openWebgpuBackend } from '../backends/webgpu/webgpu.js'
import type { MeasuredDevice } from './device.js'

/** A GPU, whose kernels for the bounds do nothing else. */
export async function openMeasuredWebgpu(): Promise<MeasuredDevice> {
  const backend = await openWebgpuBackend()
  const { machine } = backend
  return {
    backend,
    tensorBytes: machine.tensorBytes,
    copy: (x) => copied(machine, x),
    exponentials: (wanted) => {
      const blocks = Math.min(mostBlocks, Math.ceil(wanted / 64 / perThread))
      return { count: blocks * 64 * perThread, run: () => exponentials(machine, blocks) }
    },
  }
}

/** A thread copies four numbers, 64 apart: neighbours read and write neighbours, and nothing is computed but an address. */
const copyKernel: Kernel = {
  name: 'bench copy',
  reads: ['x'],
  writes: ['y'],
  counts: ['count'],
  threads: 64,
  body: `
  let first = block * 256u + lane;
  for (var i = first; i < min(first + 256u, p.count); i += 64u) { y[p.y_at + i] = x[p.x_at + i]; }`,
}

function copied(machine: Machine, tensor: Tensor): Tensor {
  const x = gpu(tensor)
  const count = x.rows * x.cols
  const y = machine.allocate(x.rows, x.cols)
  machine.run(copyKernel, { tensors: { x, y }, numbers: { count }, blocks: Math.ceil(count / 256) })
  return y
}

/** Of 64 threads: a million of them fill any GPU. */
const mostBlocks = 2 ** 14
const turns = 32
/** Exponentials: eight under way at a time. */
const perThread = 8 * turns

/** Each goes on from the last, towards 2^-x = x; their sum is written, so that no compiler leaves them out. */
const exponentialKernel: Kernel = {
  name: 'bench exponentials',
  writes: ['y'],
  threads: 64,
  body: `
  let i = block * 64u + lane;
  var a = vec4f(f32(i % 7u)) * vec4f(0.11, 0.12, 0.13, 0.14);
  var b = a + 0.5;
  for (var turn = 0u; turn < ${turns}u; turn++) {
    a = exp2(-a);
    b = exp2(-b);
  }
  let sum = a + b;
  y[p.y_at + i] = sum.x + sum.y + sum.z + sum.w;`,
}

function exponentials(machine: Machine, blocks: number): Tensor {
  const y = machine.allocate(blocks * 64, 1)
  machine.run(exponentialKernel, { tensors: { y }, blocks })
  return y
}
