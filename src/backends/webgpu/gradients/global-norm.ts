import type { Gradients } from '../../backend.js'
import type { Kernel } from '../kernel.js'
import type { Machine } from '../machine.js'
import { total } from '../norm.js'
import { columnsOf, gpu } from '../tensor.js'

/** Numbers whose squares a workgroup adds up. */
const most = 4096

/** The sum of squares of each group of x, into one number of y. */
const squaresKernel: Kernel = {
  name: 'squares',
  reads: ['x'],
  writes: ['y'],
  counts: ['rows', 'cols'],
  threads: 64,
  library: total,
  body: `
  let end = min(p.rows * p.cols, (block + 1u) * ${most}u);
  var sum = 0.0;
  for (var i = block * ${most}u + lane; i < end; i += 64u) {
    let value = x[p.x_at + i / p.cols * p.x_step + i % p.cols];
    sum += value * value;
  }
  let all = total(lane, sum);
  if (lane == 0u) { y[p.y_at + block] = all; }`,
}

/** y[i] = the sum of the numbers of x from `borders[i]` to the next one. */
const sumsKernel: Kernel = {
  name: 'sums of squares',
  reads: ['x'],
  writes: ['y'],
  tables: ['borders'],
  threads: 64,
  library: total,
  body: `
  let end = u32(borders[block + 1u]);
  var sum = 0.0;
  for (var i = u32(borders[block]) + lane; i < end; i += 64u) { sum += x[p.x_at + i]; }
  let all = total(lane, sum);
  if (lane == 0u) { y[p.y_at + block] = all; }`,
}

/** Of each tensor one number comes back, its sum of squares. Of numbers above 1.8e19 that is infinite. */
export const globalNorm =
  (machine: Machine): Gradients['globalNorm'] =>
  async (tensors) => {
    const groups = tensors.map(({ rows, cols }) => Math.ceil((rows * cols) / most))
    const borders = new Int32Array(tensors.length + 1)
    for (const [i, count] of groups.entries()) borders[i + 1] = borders[i] + count
    const parts = machine.allocate(1, borders[tensors.length])
    for (const [i, x] of tensors.entries()) {
      const { rows, cols } = x
      const y = columnsOf(parts, borders[i], borders[i + 1])
      machine.run(squaresKernel, { tensors: { x: gpu(x), y }, numbers: { rows, cols }, blocks: groups[i] })
    }
    const sums = machine.allocate(1, tensors.length)
    machine.run(sumsKernel, { tensors: { x: parts, y: sums }, tables: { borders }, blocks: tensors.length })
    const squares = await machine.read(sums)
    machine.release(parts)
    machine.release(sums)
    return Math.sqrt(squares.reduce((sum, square) => sum + square, 0))
  }
