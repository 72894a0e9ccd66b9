import type { Direction, Segments } from '../../segments.js'
import type { Kernel } from '../kernel.js'
import type { Machine } from '../machine.js'
import { partsOf } from '../parts.js'
import type { GpuTensor } from '../tensor.js'
import { foldRows } from './fold.js'

/** Rows of a piece. */
const R = 64
/** Of the states of all rows that are looked at together. */
const stateBytes = 64 * 2 ** 20

/** A recurrence of complex modes, each by itself: x = w x + input. In WGSL, of mode `j` in row `row`, as vec2f: */
export interface Modes {
  name: string
  /** The input, of u and `second`. */
  input: string
  /** What dy adds to the gradient of the state, of d and `second`. */
  incoming: string
  /** What a row adds to the gradient of `second`, of `x`, the state after it, `dx`, its gradient, and `coming`, the same as `incoming`. */
  ofSecond: string
}

const complex = `
fn times(a: vec2f, b: vec2f) -> vec2f { return vec2f(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x); }
fn conjugate(a: vec2f) -> vec2f { return vec2f(a.x, -a.y); }`

const library = `${complex}
fn row_of(first: i32, t: i32, backwards: u32) -> u32 { return u32(select(first + t, first - t, backwards == 1u)); }`

/** w of mode j, and the second of its numbers [J, 4]. */
const numbersOfMode = `
  let w = vec2f(modes[4u * j], modes[4u * j + 1u]);
  let second = vec2f(modes[4u * j + 2u], modes[4u * j + 3u]);`

/**
 * A thread for each mode of a segment, once there and once back: the states before its pieces, and the gradients of those after them,
 * [pieces, 2 J]. `segments`: first row in reading order, rows, first piece.
 */
const bordersKernel = ({ name, input, incoming }: Modes): Kernel => ({
  name: `${name} gradient borders`,
  reads: ['u', 'd', 'modes'],
  writes: ['before', 'after'],
  tables: ['segments'],
  counts: ['J', 'M', 'across', 'backwards'],
  threads: 64,
  library,
  body: `
  let segment = block / p.across * 3u;
  let j = block % p.across * 64u + lane;
  if (j >= p.J) { return; }
  let first = segments[segment];
  let rows = segments[segment + 1u];
  let piece = segments[segment + 2u];${numbersOfMode}
  var x = vec2f(0.0);
  for (var t = 0; t < rows; t++) {
    if (t % ${R} == 0) {
      let at = (u32(piece + t / ${R}) * p.J + j) * 2u;
      before[at] = x.x;
      before[at + 1u] = x.y;
    }
    let row = row_of(first, t, p.backwards);
    x = times(w, x) + ${input};
  }
  var dx = vec2f(0.0);
  for (var t = rows - 1; t >= 0; t--) {
    if (t % ${R} == ${R - 1} || t == rows - 1) {
      let at = (u32(piece + t / ${R}) * p.J + j) * 2u;
      after[at] = dx.x;
      after[at + 1u] = dx.y;
    }
    let row = row_of(first, t, p.backwards);
    dx = times(conjugate(w), dx + ${incoming});
  }`,
})

/**
 * A thread for each mode of a piece: its states [pieces R, 2 J], and from the last to the first their gradients in place of them. `sums` [all
 * pieces, 4 J]: what the piece adds to the gradients of both numbers of a mode. `pieces`: first row in reading order, rows, number of the piece.
 */
const backKernel = ({ name, input, incoming, ofSecond }: Modes): Kernel => ({
  name: `${name} gradient back`,
  reads: ['u', 'd', 'modes', 'before', 'after'],
  writes: ['states', 'sums'],
  tables: ['pieces'],
  counts: ['J', 'M', 'across', 'backwards'],
  threads: 64,
  library,
  body: `
  let local = block / p.across;
  let j = block % p.across * 64u + lane;
  if (j >= p.J) { return; }
  let first = pieces[3u * local];
  let rows = pieces[3u * local + 1u];
  let border = (u32(pieces[3u * local + 2u]) * p.J + j) * 2u;
  let mine = (local * ${R}u * p.J + j) * 2u;${numbersOfMode}
  let start = vec2f(before[border], before[border + 1u]);
  var x = start;
  for (var t = 0; t < rows; t++) {
    let row = row_of(first, t, p.backwards);
    x = times(w, x) + ${input};
    let at = mine + u32(t) * p.J * 2u;
    states[at] = x.x;
    states[at + 1u] = x.y;
  }
  var later = vec2f(after[border], after[border + 1u]);
  var dw = vec2f(0.0);
  var dsecond = vec2f(0.0);
  for (var t = rows - 1; t >= 0; t--) {
    let row = row_of(first, t, p.backwards);
    let at = mine + u32(t) * p.J * 2u;
    let coming = ${incoming};
    let dx = later + coming;
    var earlier = start;
    if (t > 0) { earlier = vec2f(states[at - p.J * 2u], states[at - p.J * 2u + 1u]); }
    dw += times(dx, conjugate(earlier));
    dsecond += ${ofSecond};
    later = times(conjugate(w), dx);
    x = earlier;
    states[at] = dx.x;
    states[at + 1u] = dx.y;
  }
  let to = border * 2u;
  sums[to] = dw.x;
  sums[to + 1u] = dw.y;
  sums[to + 2u] = dsecond.x;
  sums[to + 3u] = dsecond.y;`,
})

/**
 * A thread for each number of du [T, cols]: `value`, in WGSL, of column `c` of row `row` and of the gradients of the states, which of mode j begin
 * at states[mine + 2 j].
 */
const inputKernel = (name: string, value: string): Kernel => ({
  name: `${name} gradient input`,
  reads: ['d', 'modes', 'D', 'states'],
  writes: ['du'],
  tables: ['pieces'],
  counts: ['J', 'M', 'count', 'cols', 'backwards'],
  threads: 64,
  library,
  body: `
  let i = block * 64u + lane;
  if (i >= p.count * ${R}u * p.cols) { return; }
  let r = i / p.cols;
  let c = i % p.cols;
  let piece = r / ${R}u * 3u;
  let t = i32(r % ${R}u);
  if (t >= pieces[piece + 1u]) { return; }
  let row = row_of(pieces[piece], t, p.backwards);
  let mine = r * p.J * 2u;
  ${value}
  du[p.du_at + row * p.du_step + c] += sum;`,
})

export interface Recurrence {
  modes: Modes
  /** See `inputKernel`. */
  ofInput: string
  d: GpuTensor
  u: GpuTensor
  /** [J, 4] */
  numbers: GpuTensor
  /** Read by `ofInput`. */
  D: GpuTensor
  /** Modes of a channel. */
  M: number
  segments: Segments
  direction: Direction
}

/**
 * The gradients of w and of the second number of each mode [1, 4 J], which the caller releases; that of u is added to du. One thread for each mode goes from end
 * to end of a segment for the states at the borders of its pieces; the states of some pieces at a time follow from them.
 */
export function modesGradient(machine: Machine, all: Recurrence, du: GpuTensor | null): GpuTensor {
  const { u, d, numbers: modes, D, M, segments, direction } = all
  const J = modes.rows
  const backwards = direction === 'reverse' ? 1 : 0
  const across = Math.ceil(J / 64)
  const { parts } = partsOf(segments, direction, u.rows)
  const [rows, table]: [number[], number[]] = [[], []]
  for (const part of parts) {
    const first = backwards ? part.from + part.rows - 1 : part.from
    rows.push(first, part.rows, table.length / 3)
    for (let t = 0; t < part.rows; t += R)
      table.push(backwards ? first - t : first + t, Math.min(R, part.rows - t), table.length / 3)
  }
  const pieces = table.length / 3
  const [before, after] = [0, 1].map(() => machine.allocate(pieces, 2 * J))
  const sums = machine.allocate(pieces, 4 * J)
  const numbers = { J, M, across, backwards }
  machine.run(bordersKernel(all.modes), {
    tensors: { u, d, modes, before, after },
    tables: { segments: Int32Array.from(rows) },
    numbers,
    blocks: parts.length * across,
  })
  const most = Math.max(1, Math.floor(Math.min(stateBytes, machine.tensorBytes) / (R * J * 8)))
  for (let from = 0; from < pieces; from += most) {
    const some = Int32Array.from(table.slice(3 * from, 3 * (from + most)))
    const count = some.length / 3
    const states = machine.allocate(count * R, 2 * J)
    machine.run(backKernel(all.modes), {
      tensors: { u, d, modes, before, after, states, sums },
      tables: { pieces: some },
      numbers,
      blocks: count * across,
    })
    if (du)
      machine.run(inputKernel(all.modes.name, all.ofInput), {
        tensors: { d, modes, D, states, du },
        tables: { pieces: some },
        numbers: { ...numbers, count, cols: du.cols },
        blocks: Math.ceil((count * R * du.cols) / 64),
      })
    machine.release(states)
  }
  const gradient = machine.allocate(1, 4 * J)
  machine.clear(gradient)
  foldRows(machine, sums, gradient)
  for (const x of [before, after, sums]) machine.release(x)
  return gradient
}
