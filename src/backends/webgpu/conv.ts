import type { Backend } from '../backend.js'
import type { Direction } from '../segments.js'
import { activated } from './elementwise.js'
import type { Kernel } from './kernel.js'
import type { Machine } from './machine.js'
import { sigmoid } from './math.js'
import { findPart, partsOf } from './parts.js'
import { type GpuTensor, gpu, optional, stateOf } from './tensor.js'

/** Row of step `t` of the part that begins at row `first`. */
export const rowOf = (direction: Direction, t: string) =>
  direction === 'forward' ? `first + ${t}` : `first + rows - 1 - ${t}`

/** The step that `row` of that part is. */
export const stepOf = (direction: Direction) => (direction === 'forward' ? 'row - first' : 'first + rows - 1 - row')

interface Shape {
  direction: Direction
  silu: boolean
  bias: boolean
  state: boolean
}

/** A thread for each number of y. */
const convKernel = ({ direction, silu, bias, state }: Shape): Kernel => ({
  name: `conv ${direction} ${silu} ${bias} ${state}`,
  reads: ['x', 'w', ...(bias ? ['bias'] : []), ...(state ? ['state'] : [])],
  writes: ['y'],
  tables: ['parts'],
  counts: ['T', 'E', 'K', 'count'],
  threads: 64,
  library: sigmoid + findPart(4),
  body: `
  let i = block * 64u + lane;
  if (i >= p.T * p.E) { return; }
  let row = i32(i / p.E);
  let e = i % p.E;
  let part = find_part(row, p.count);
  let first = parts[part];
  let rows = parts[part + 1u];
  let step = ${stepOf(direction)};
  var sum = ${bias ? 'bias[p.bias_at + e]' : '0.0'};
  for (var k = 0u; k < p.K; k++) {
    let t = step - i32(p.K - 1u - k);
    var v = 0.0;
    if (t >= 0) { v = x[p.x_at + u32(${rowOf(direction, 't')}) * p.x_step + e]; }
    ${
      state
        ? `else if (parts[part + 3u] == 1) {
      v = state[p.state_at + u32(i32(p.K) * (parts[part + 2u] + 1) + t) * p.state_step + e];
    }`
        : ''
    }
    sum += w[p.w_at + k * p.w_step + e] * v;
  }
  y[p.y_at + i] = ${activated('sum', silu ? 'silu' : 'none')};`,
})

/** Leaves the last K inputs of each part in its block of the state; what an older state holds only moves to smaller rows. */
export const keepKernel = (direction: Direction): Kernel => ({
  name: `keep ${direction}`,
  reads: ['x'],
  writes: ['state'],
  tables: ['parts'],
  counts: ['E', 'K', 'across'],
  threads: 64,
  body: `
  let part = block / p.across * 4u;
  let e = block % p.across * 64u + lane;
  let slot = parts[part + 2u];
  if (e >= p.E || slot < 0) { return; }
  let first = parts[part];
  let rows = parts[part + 1u];
  let K = i32(p.K);
  for (var k = 0; k < K; k++) {
    let t = rows - K + k;
    var v = 0.0;
    if (t >= 0) { v = x[p.x_at + u32(${rowOf(direction, 't')}) * p.x_step + e]; }
    else if (parts[part + 3u] == 1) { v = state[p.state_at + u32(K * (slot + 1) + t) * p.state_step + e]; }
    state[p.state_at + u32(K * slot + k) * p.state_step + e] = v;
  }`,
})

function keep(machine: Machine, x: GpuTensor, K: number, direction: Direction, parts: Int32Array, state: GpuTensor) {
  const across = Math.ceil(x.cols / 64)
  machine.run(keepKernel(direction), {
    tensors: { x, state },
    tables: { parts },
    numbers: { E: x.cols, K, across },
    blocks: across * (parts.length / 4),
  })
}

export const causalConv =
  (machine: Machine): Backend['causalConv'] =>
  (input, weight, bias, { segments, direction, activation, state: states }) => {
    const x = gpu(input)
    const [T, E, K] = [x.rows, x.cols, weight.rows]
    const { parts, table } = partsOf(segments, direction, T)
    const b = optional(bias, 1, E)
    const state = stateOf(states, K, E, parts)
    const y = machine.allocate(T, E)
    machine.run(convKernel({ direction, silu: activation === 'silu', bias: !!b, state: !!state }), {
      tensors: { x, w: gpu(weight, K, E), y, ...(b && { bias: b }), ...(state && { state }) },
      tables: { parts: table },
      numbers: { T, E, K, count: parts.length },
      blocks: Math.ceil((T * E) / 64),
    })
    if (state) keep(machine, x, K, direction, table, state)
    return y
  }

/** A thread for each number of y. `parts`: five integers, the first row of y and then those of `partsOf`. */
const unfoldKernel = (state: boolean): Kernel => ({
  name: `unfold ${state}`,
  reads: ['x', ...(state ? ['state'] : [])],
  writes: ['y'],
  tables: ['parts'],
  counts: ['rows', 'D', 'window', 'stride', 'count'],
  threads: 64,
  library: findPart(5),
  body: `
  let i = block * 64u + lane;
  let width = p.window * p.D;
  if (i >= p.rows * width) { return; }
  let row = i32(i / width);
  let k = i32(i % width / p.D);
  let d = i % p.D;
  let part = find_part(row, p.count);
  let t = (row - parts[part] + 1) * i32(p.stride) - i32(p.window) + k;
  var v = 0.0;
  if (t >= 0) {
    if (t < parts[part + 2u]) { v = x[p.x_at + u32(parts[part + 1u] + t) * p.x_step + d]; }
  }
  ${
    state
      ? `else if (parts[part + 4u] == 1) {
    v = state[p.state_at + u32(i32(p.window) * (parts[part + 3u] + 1) + t) * p.state_step + d];
  }`
      : ''
  }
  y[p.y_at + i] = v;`,
})

export const unfold =
  (machine: Machine): Backend['unfold'] =>
  (input, window, stride, segments, states) => {
    const x = gpu(input)
    const D = x.cols
    const { parts, table } = partsOf(segments, 'forward', x.rows)
    const state = stateOf(states, window, D, parts)
    let rows = 0
    const withRows = parts.flatMap((part, s) => {
      const firstRow = rows
      rows += Math.ceil(part.rows / stride)
      return [firstRow, ...table.subarray(4 * s, 4 * s + 4)]
    })
    const y = machine.allocate(rows, window * D)
    machine.run(unfoldKernel(!!state), {
      tensors: { x, y, ...(state && { state }) },
      tables: { parts: Int32Array.from(withRows) },
      numbers: { rows, D, window, stride, count: parts.length },
      blocks: Math.ceil((rows * window * D) / 64),
    })
    if (state) keep(machine, x, window, 'forward', table, state)
    return y
  }
