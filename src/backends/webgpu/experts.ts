import type { Backend } from '../backend.js'
import type { Kernel } from './kernel.js'
import type { Machine } from './machine.js'
import { gpu } from './tensor.js'

/** A thread for each row: the largest logit that is not chosen yet, as often as there are to be. */
const routeKernel = (all: boolean): Kernel => ({
  name: `route ${all}`,
  reads: ['x'],
  writes: ['y'],
  counts: ['rows', 'cols', 'chosen'],
  threads: 64,
  body: `
  let row = block * 64u + lane;
  if (row >= p.rows) { return; }
  let given = p.x_at + row * p.x_step;
  let to = p.y_at + row * p.y_step;
  var most = x[given];
  for (var c = 0u; c < p.cols; c++) {
    most = max(most, x[given + c]);
    y[to + c] = 0.0;
  }
  var sum = 0.0;
  ${all ? 'for (var c = 0u; c < p.cols; c++) { sum += exp(max(x[given + c] - most, -87.0)); }' : ''}
  for (var i = 0u; i < p.chosen; i++) {
    var best = p.cols;
    for (var c = 0u; c < p.cols; c++) {
      if (y[to + c] == 0.0 && (best == p.cols || x[given + c] > x[given + best])) { best = c; }
    }
    let power = exp(max(x[given + best] - most, -87.0));
    y[to + best] = power;
    ${all ? '' : 'sum += power;'}
  }
  for (var c = 0u; c < p.cols; c++) { y[to + c] = y[to + c] / sum; }`,
})

export const route =
  (machine: Machine): Backend['route'] =>
  (logits, active, over) => {
    const { rows, cols } = logits
    const y = machine.allocate(rows, cols)
    machine.run(routeKernel(over === 'all'), {
      tensors: { x: gpu(logits), y },
      numbers: { rows, cols, chosen: active },
      blocks: Math.ceil(rows / 64),
    })
    return y
  }

const addRowsKernel: Kernel = {
  name: 'addRows',
  reads: ['x', 'shares'],
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
  y[p.y_at + row * p.y_step + c] += shares[p.shares_at + row * p.shares_step] * x[p.x_at + r * p.x_step + c];`,
}

export const addRows =
  (machine: Machine): Backend['addRows'] =>
  (into, x, rows, shares) => {
    const y = gpu(into)
    for (const row of rows) if (!(row >= 0 && row < y.rows)) throw new RangeError(`row ${row} of ${y.rows}`)
    machine.run(addRowsKernel, {
      tensors: { x: gpu(x, rows.length, y.cols), shares: gpu(shares, y.rows, 1), y },
      tables: { rows },
      numbers: { count: rows.length, cols: y.cols },
      blocks: Math.ceil((rows.length * y.cols) / 64),
    })
  }
