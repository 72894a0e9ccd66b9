import type { Gradients } from '../../backend.js'
import type { Direction } from '../../segments.js'
import { causalConv, rowOf, stepOf } from '../conv.js'
import type { Kernel } from '../kernel.js'
import type { Machine } from '../machine.js'
import { findPart, partsOf } from '../parts.js'
import { gpu, optional } from '../tensor.js'
import { made } from './elementwise.js'
import { foldRows } from './fold.js'

/** A thread for each number of dx, which the next K - 1 rows have seen, too. d: gradient of the sums. */
const inputKernel = (direction: Direction): Kernel => ({
  name: `conv gradient input ${direction}`,
  reads: ['d', 'w'],
  writes: ['dx'],
  tables: ['parts'],
  counts: ['T', 'E', 'K', 'count'],
  threads: 64,
  library: findPart(4),
  body: `
  let i = block * 64u + lane;
  if (i >= p.T * p.E) { return; }
  let row = i32(i / p.E);
  let e = i % p.E;
  let part = find_part(row, p.count);
  let first = parts[part];
  let rows = parts[part + 1u];
  let step = ${stepOf(direction)};
  var sum = 0.0;
  for (var k = 0u; k < p.K; k++) {
    let t = step + i32(p.K - 1u - k);
    if (t < rows) { sum += w[p.w_at + k * p.w_step + e] * d[p.d_at + u32(${rowOf(direction, 't')}) * p.d_step + e]; }
  }
  dx[p.dx_at + u32(row) * p.dx_step + e] += sum;`,
})

/** Rows that a thread adds up. */
const weightRows = 64

/** A thread for each number of the weight [K, E] and `weightRows` rows. */
const weightKernel = (direction: Direction): Kernel => ({
  name: `conv gradient weight ${direction}`,
  reads: ['d', 'x'],
  writes: ['y'],
  tables: ['parts'],
  counts: ['T', 'E', 'K', 'count', 'across'],
  threads: 64,
  library: findPart(4),
  body: `
  let begin = i32(block / p.across * ${weightRows}u);
  let i = block % p.across * 64u + lane;
  if (i >= p.K * p.E) { return; }
  let back = i32(p.K - 1u - i / p.E);
  let e = i % p.E;
  var part = find_part(begin, p.count);
  var sum = 0.0;
  for (var row = begin; row < min(i32(p.T), begin + ${weightRows}); row++) {
    if (row >= parts[part] + parts[part + 1u]) { part += 4u; }
    let first = parts[part];
    let rows = parts[part + 1u];
    let t = ${stepOf(direction)} - back;
    if (t >= 0) { sum += d[p.d_at + u32(row) * p.d_step + e] * x[p.x_at + u32(${rowOf(direction, 't')}) * p.x_step + e]; }
  }
  y[block / p.across * p.K * p.E + i] = sum;`,
})

export const convGradient =
  (machine: Machine): Gradients['causalConv'] =>
  (dy, input, weight, bias, { segments, direction, activation }, into) => {
    const x = gpu(input)
    const [T, E, K] = [x.rows, x.cols, weight.rows]
    const [dx, dWeight] = [optional(into.dx, T, E), optional(into.dWeight, K, E)]
    let d = gpu(dy, T, E)
    if (activation === 'silu') {
      const sums = causalConv(machine)(x, weight, bias, { segments, direction, activation: 'none', state: null })
      d = made(machine, 'd_one * silu_slope(sums_one)', { d, sums })
      machine.release(gpu(sums))
    }
    const { parts, table } = partsOf(segments, direction, T)
    const numbers = { T, E, K, count: parts.length }
    foldRows(machine, d, optional(into.dBias, 1, E))
    if (dx)
      machine.run(inputKernel(direction), {
        tensors: { d, w: gpu(weight, K, E), dx },
        tables: { parts: table },
        numbers,
        blocks: Math.ceil((T * E) / 64),
      })
    if (dWeight) {
      const [groups, across] = [Math.ceil(T / weightRows), Math.ceil((K * E) / 64)]
      const y = machine.allocate(groups, K * E)
      machine.run(weightKernel(direction), {
        tensors: { d, x, y },
        tables: { parts: table },
        numbers: { ...numbers, across },
        blocks: groups * across,
      })
      foldRows(machine, y, dWeight)
      machine.release(y)
    }
    if (activation === 'silu') machine.release(d)
  }

/** A thread for each number of x: what the windows that hold it say. `parts`: first row of x, rows, first row of y, rows there. */
const unfoldKernel: Kernel = {
  name: 'unfold gradient',
  reads: ['d'],
  writes: ['dx'],
  tables: ['parts'],
  counts: ['T', 'D', 'window', 'stride', 'count'],
  threads: 64,
  library: findPart(4),
  body: `
  let i = block * 64u + lane;
  if (i >= p.T * p.D) { return; }
  let row = i32(i / p.D);
  let part = find_part(row, p.count);
  let stride = i32(p.stride);
  var sum = 0.0;
  for (var k = 0; k < i32(p.window); k++) {
    let end = row - parts[part] + i32(p.window) - k;
    let j = end / stride - 1;
    if (end % stride == 0 && j >= 0 && j < parts[part + 3u]) {
      sum += d[p.d_at + u32(parts[part + 2u] + j) * p.d_step + u32(k) * p.D + i % p.D];
    }
  }
  dx[p.dx_at + u32(row) * p.dx_step + i % p.D] += sum;`,
}

export const unfoldGradient =
  (machine: Machine): Gradients['unfold'] =>
  (dy, window, stride, segments, into) => {
    const dx = gpu(into)
    const { parts } = partsOf(segments, 'forward', dx.rows)
    let rows = 0
    const table = parts.flatMap((part) => {
      const [first, count] = [rows, Math.ceil(part.rows / stride)]
      rows += count
      return [part.from, part.rows, first, count]
    })
    machine.run(unfoldKernel, {
      tensors: { d: gpu(dy, rows, window * dx.cols), dx },
      tables: { parts: Int32Array.from(table) },
      numbers: { T: dx.rows, D: dx.cols, window, stride, count: parts.length },
      blocks: Math.ceil((dx.rows * dx.cols) / 64),
    })
  }
