import { exitCodes, UserError } from '../../../errors.js'
import type { Gradients, Pooling, Tensor } from '../../backend.js'
import { poolingOrder } from '../../segments.js'
import type { Kernel } from '../kernel.js'
import type { Machine } from '../machine.js'
import { findPart } from '../parts.js'
import { type GpuTensor, gpu } from '../tensor.js'

/** Rows that a thread adds up. */
const most = 64

/** A thread for each column of a run: the sum of rows of x. `runs`: first entry of `order`, entries, row of y. */
const scatterKernel: Kernel = {
  name: 'scatter',
  reads: ['x'],
  writes: ['y'],
  tables: ['runs', 'order'],
  counts: ['count', 'cols'],
  threads: 64,
  body: `
  let i = block * 64u + lane;
  if (i >= p.count * p.cols) { return; }
  let run = i / p.cols * 3u;
  let c = i % p.cols;
  var sum = 0.0;
  for (var k = runs[run]; k < runs[run] + runs[run + 1u]; k++) { sum += x[p.x_at + u32(order[k]) * p.x_step + c]; }
  y[p.y_at + u32(runs[run + 2u]) * p.y_step + c] += sum;`,
}

/** Adds row i of x to row ids[i] of y. What goes to the same row is added by runs of `most` rows, then their sums are. */
function scatter(machine: Machine, x: GpuTensor, ids: Int32Array, y: GpuTensor): void {
  const order = Int32Array.from(ids.keys()).sort((a, b) => ids[a] - ids[b] || a - b)
  const runs: number[] = []
  const targets: number[] = []
  for (let from = 0; from < order.length; ) {
    const id = ids[order[from]]
    let to = from
    while (to < order.length && ids[order[to]] === id && to - from < most) to++
    runs.push(from, to - from, id)
    targets.push(id)
    from = to
  }
  const count = targets.length
  const add = (to: GpuTensor) =>
    machine.run(scatterKernel, {
      tensors: { x, y: to },
      tables: { runs: Int32Array.from(runs), order },
      numbers: { count, cols: x.cols },
      blocks: Math.ceil((count * x.cols) / 64),
    })
  if (targets.every((id, i) => id !== targets[i - 1])) {
    add(y)
    return
  }
  for (let i = 0; i < count; i++) runs[3 * i + 2] = i
  const sums = machine.allocate(count, x.cols)
  machine.clear(sums)
  add(sums)
  scatter(machine, sums, Int32Array.from(targets), y)
  machine.release(sums)
}

export const scatterGradient = (machine: Machine) => (dy: Tensor, rows: Int32Array, into: Tensor) => {
  const wrong = rows.find((row) => !(row >= 0 && row < into.rows))
  if (wrong !== undefined) throw new UserError(`row ${wrong} of a table with ${into.rows} rows`, exitCodes.data)
  scatter(machine, gpu(dy, rows.length, into.cols), rows, gpu(into))
}

/** A thread for each number of x. */
const meanKernel: Kernel = {
  name: 'pool gradient mean',
  reads: ['d'],
  writes: ['dx'],
  tables: ['parts'],
  counts: ['T', 'D', 'count'],
  threads: 64,
  library: findPart(2),
  body: `
  let i = block * 64u + lane;
  if (i >= p.T * p.D) { return; }
  let row = i / p.D;
  let c = i % p.D;
  let part = find_part(i32(row), p.count);
  dx[p.dx_at + row * p.dx_step + c] += d[p.d_at + part / 2u * p.d_step + c] / f32(parts[part + 1u]);`,
}

/** A thread for each column of a part: the whole gradient goes to one row. */
const oneRowKernel = (how: 'max' | 'last'): Kernel => ({
  name: `pool gradient ${how}`,
  reads: ['d', ...(how === 'max' ? ['x'] : [])],
  writes: ['dx'],
  tables: ['parts'],
  counts: ['D', 'count'],
  threads: 64,
  body: `
  let i = block * 64u + lane;
  if (i >= p.count * p.D) { return; }
  let part = i / p.D;
  let c = i % p.D;
  let first = u32(parts[2u * part]);
  let end = first + u32(parts[2u * part + 1u]);
  ${
    how === 'last'
      ? 'let row = end - 1u;'
      : `
  var row = first;
  for (var r = first; r < end; r++) { if (x[p.x_at + r * p.x_step + c] > x[p.x_at + row * p.x_step + c]) { row = r; } }`
  }
  dx[p.dx_at + row * p.dx_step + c] += d[p.d_at + part * p.d_step + c];`,
})

const kernelOf = (how: Pooling) => (how === 'mean' ? meanKernel : oneRowKernel(how))

export const poolGradient =
  (machine: Machine): Gradients['pool'] =>
  (dy, x, segments, how, into) => {
    const { rows: T, cols: D } = x
    const parts = poolingOrder(segments, T)
    machine.run(kernelOf(how), {
      tensors: { d: gpu(dy, parts.length, D), dx: gpu(into, T, D), ...(how === 'max' && { x: gpu(x) }) },
      tables: { parts: Int32Array.from(parts.flatMap(({ from, rows }) => [from, rows])) },
      numbers: { T, D, count: parts.length },
      blocks: Math.ceil(((how === 'mean' ? T : parts.length) * D) / 64),
    })
  }
