import type { Gradients } from '../../backend.js'
import { route } from '../experts.js'
import type { Kernel } from '../kernel.js'
import type { Machine } from '../machine.js'
import { gpu, optional } from '../tensor.js'

/** A thread for each row: through a softmax, of which the shares are all or a part. */
const routeKernel: Kernel = {
  name: 'route gradient',
  reads: ['d', 'shares', 'softmax'],
  writes: ['y'],
  counts: ['rows', 'cols'],
  threads: 64,
  body: `
  let row = block * 64u + lane;
  if (row >= p.rows) { return; }
  var mean = 0.0;
  for (var c = 0u; c < p.cols; c++) { mean += shares[row * p.cols + c] * d[p.d_at + row * p.d_step + c]; }
  for (var c = 0u; c < p.cols; c++) {
    let at = row * p.cols + c;
    y[p.y_at + row * p.y_step + c] += shares[at] * d[p.d_at + row * p.d_step + c] - softmax[at] * mean;
  }`,
}

export const routeGradient =
  (machine: Machine): Gradients['route'] =>
  (dy, logits, active, over, into) => {
    const { rows, cols } = logits
    const shares = gpu(route(machine)(logits, active, over))
    const softmax = over === 'all' ? gpu(route(machine)(logits, cols, over)) : shares
    machine.run(routeKernel, {
      tensors: { d: gpu(dy, rows, cols), shares, softmax, y: gpu(into, rows, cols) },
      numbers: { rows, cols },
      blocks: Math.ceil(rows / 64),
    })
    machine.release(shares)
    if (softmax !== shares) machine.release(softmax)
  }

/** A thread for each number of dx. */
const rowsKernel: Kernel = {
  name: 'addRows gradient rows',
  reads: ['d', 'shares'],
  writes: ['y'],
  tables: ['rows'],
  counts: ['count', 'cols'],
  threads: 64,
  body: `
  let i = block * 64u + lane;
  if (i >= p.count * p.cols) { return; }
  let r = i / p.cols;
  let c = i % p.cols;
  let row = u32(rows[r]);
  y[p.y_at + r * p.y_step + c] += shares[p.shares_at + row * p.shares_step] * d[p.d_at + row * p.d_step + c];`,
}

/** A thread for each row: no row comes twice. */
const sharesKernel: Kernel = {
  name: 'addRows gradient shares',
  reads: ['d', 'x'],
  writes: ['y'],
  tables: ['rows'],
  counts: ['count', 'cols'],
  threads: 64,
  body: `
  let r = block * 64u + lane;
  if (r >= p.count) { return; }
  let row = u32(rows[r]);
  var sum = 0.0;
  for (var c = 0u; c < p.cols; c++) { sum += x[p.x_at + r * p.x_step + c] * d[p.d_at + row * p.d_step + c]; }
  y[p.y_at + row * p.y_step] += sum;`,
}

export const addRowsGradient =
  (machine: Machine): Gradients['addRows'] =>
  (dy, x, rows, shares, into) => {
    const [T, cols, count] = [dy.rows, dy.cols, rows.length]
    const [dx, dShares] = [optional(into.dx, count, cols), optional(into.dshares, T, 1)]
    const [d, given, tables, numbers] = [gpu(dy), gpu(x, count, cols), { rows }, { count, cols }]
    if (dx)
      machine.run(rowsKernel, {
        tensors: { d, shares: gpu(shares, T, 1), y: dx },
        tables,
        numbers,
        blocks: Math.ceil((count * cols) / 64),
      })
    if (dShares)
      machine.run(sharesKernel, {
        tensors: { d, x: given, y: dShares },
        tables,
        numbers,
        blocks: Math.ceil(count / 64),
      })
  }
