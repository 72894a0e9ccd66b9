import type { Kernel } from '../kernel.js'
import type { Machine } from '../machine.js'
import { type GpuTensor, gpu } from '../tensor.js'

/** Rows that a thread adds up. */
const most = 64

/** A thread for each number of y [groups, cols]: the sum of the next `most` rows of x. The last step adds to y [?, width]. */
const foldKernel = (last: boolean): Kernel => ({
  name: `gradient fold ${last}`,
  reads: ['x'],
  writes: ['y'],
  counts: ['rows', 'cols', 'width', 'groups'],
  threads: 64,
  body: `
  let i = block * 64u + lane;
  if (i >= p.groups * p.cols) { return; }
  let first = i / p.cols * ${most}u;
  let c = i % p.cols;
  var sum = 0.0;
  for (var r = first; r < min(p.rows, first + ${most}u); r++) { sum += x[p.x_at + r * p.x_step + c]; }
  ${last ? 'y[p.y_at + c / p.width * p.y_step + c % p.width] += sum;' : 'y[i] = sum;'}`,
})

/**
 * Adds the sum of all rows of x to `into`, which has as many numbers as one of them. By groups of rows, groups of groups and so on: an
 * order that only the shape decides.
 */
export function foldRows(machine: Machine, x: GpuTensor, into: GpuTensor | null): void {
  if (!into) return
  gpu(x, x.rows, into.rows * into.cols)
  let from = x
  for (;;) {
    const groups = Math.ceil(from.rows / most)
    const last = groups <= 1
    const y = last ? into : machine.allocate(groups, x.cols)
    machine.run(foldKernel(last), {
      tensors: { x: from, y },
      numbers: { rows: from.rows, cols: x.cols, width: into.cols, groups },
      blocks: Math.ceil((groups * x.cols) / 64),
    })
    if (from !== x) machine.release(from)
    if (last) return
    from = y
  }
}
