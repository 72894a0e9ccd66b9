import type { Backend, Pooling } from '../backend.js'
import { countEnds, poolingOrder } from '../segments.js'
import type { Dtype } from '../weight.js'
import { numberAt, widening } from './halves.js'
import type { Kernel } from './kernel.js'
import type { Machine } from './machine.js'
import { gpu, stateOf } from './tensor.js'
import { partsOfWeight } from './weights.js'

/** `rows`: of x, and where each goes in y. */
const gatherKernel = (dtype: Dtype): Kernel => ({
  name: `gather ${dtype}`,
  reads: ['x'],
  dtypes: { x: dtype },
  writes: ['y'],
  tables: ['rows'],
  counts: ['count', 'cols'],
  threads: 64,
  library: widening[dtype],
  body: `
  let i = block * 64u + lane;
  if (i >= p.count * p.cols) { return; }
  let pair = i / p.cols * 2u;
  let c = i % p.cols;
  y[p.y_at + u32(rows[pair + 1u]) * p.y_step + c] = ${numberAt(dtype, 'x', 'p.x_at + u32(rows[pair]) * p.x_step + c')};`,
})

/** Rows of a tensor, or of a weight in several. */
export const gatherRows =
  (machine: Machine): Backend['gatherRows'] =>
  (x, rows) => {
    for (const row of rows) if (!(row >= 0 && row < x.rows)) throw new RangeError(`row ${row} of ${x.rows}`)
    const cols = x.cols
    const y = machine.allocate(rows.length, cols)
    let to = 0
    for (const part of partsOfWeight(x)) {
      const from = to
      to += part.rows
      const pairs = new Int32Array(2 * rows.length)
      let count = 0
      for (const [at, row] of rows.entries()) if (row >= from && row < to) pairs.set([row - from, at], 2 * count++)
      machine.run(gatherKernel(part.dtype), {
        tensors: { x: part, y },
        tables: { rows: pairs.subarray(0, 2 * count) },
        numbers: { count, cols },
        blocks: Math.ceil((count * cols) / 64),
      })
    }
    return y
  }

/** What a row does to the running value; sums are kept as two floats, of which the second holds what the first rounds away. */
const takeRow: Record<Pooling, string> = {
  mean: `
    let sum = opaque(value + one);
    let taken = opaque(sum - value);
    rest += opaque(value - opaque(sum - taken)) + opaque(one - taken);
    value = sum;`,
  max: 'value = max(value, one);',
  last: 'value = one;',
}

/**
 * A thread for each column of a part. `parts`: first row, rows, slot (-1: none), 1 if it resumes, row of y (-1: it goes on), and the
 * bits of the number of rows to divide by. The carry holds [value, rest] of each slot.
 */
const poolKernel = (how: Pooling, carry: boolean): Kernel => ({
  name: `pool ${how} ${carry}`,
  reads: ['x'],
  writes: ['y', ...(carry ? ['carry'] : [])],
  tables: ['parts'],
  counts: ['D', 'across', 'nothing'],
  threads: 64,
  // A compiler that takes floats for real numbers would find that the rest is always zero.
  library: 'fn opaque(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) ^ p.nothing); }',
  body: `
  let part = block / p.across * 6u;
  let d = block % p.across * 64u + lane;
  if (d >= p.D) { return; }
  let first = u32(parts[part]);
  let rows = u32(parts[part + 1u]);
  var value = ${how === 'mean' ? '0.0' : 'x[p.x_at + first * p.x_step + d]'};
  var rest = 0.0;
  ${
    carry
      ? `
  let kept = p.carry_at + u32(max(0, parts[part + 2u])) * p.carry_step + d;
  if (parts[part + 3u] == 1) {
    value = carry[kept];
    rest = carry[kept + p.D];
  }`
      : ''
  }
  for (var t = 0u; t < rows; t++) {
    let one = x[p.x_at + (first + t) * p.x_step + d];
    ${takeRow[how]}
  }
  if (parts[part + 4u] >= 0) {
    y[p.y_at + u32(parts[part + 4u]) * p.D + d] = ${how === 'mean' ? '(value + rest) / bitcast<f32>(parts[part + 5u])' : 'value'};
  }
  ${
    carry
      ? `else if (parts[part + 2u] >= 0) {
    carry[kept] = value;
    carry[kept + p.D] = rest;
  }`
      : ''
  }`,
})

export const pool =
  (machine: Machine): Backend['pool'] =>
  (input, segments, how, carries) => {
    const x = gpu(input)
    const D = x.cols
    const parts = poolingOrder(segments, x.rows)
    const carry = stateOf(carries, 1, 2 * D, parts)
    let ended = 0
    const table = parts.flatMap(({ from, rows, slot, resumes, ends, total }) => {
      const bits = new Int32Array(Float32Array.of(total).buffer)[0]
      return [from, rows, slot, +(resumes && !!carry), ends ? ended++ : -1, bits]
    })
    const y = machine.allocate(countEnds(segments), D)
    const across = Math.ceil(D / 64)
    machine.run(poolKernel(how, !!carry), {
      tensors: { x, y, ...(carry && { carry }) },
      tables: { parts: Int32Array.from(table) },
      numbers: { D, across, nothing: 0 },
      blocks: across * parts.length,
    })
    return y
  }
