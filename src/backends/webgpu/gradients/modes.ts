import type { Direction, Segments } from '../../segments.js'
import type { Kernel } from '../kernel.js'
import type { Machine } from '../machine.js'
import { partsOf } from '../parts.js'
import { rangesOf } from '../ranges.js'
import { columnsOf, type GpuTensor, rowsOf } from '../tensor.js'
import { foldRows } from './fold.js'
import { piecesOf, rowOf, someOf } from './pieces.js'

/** Rows of a piece. */
const R = 64
/** A recurrence of complex modes, each by itself: x = w x + input. In WGSL, of mode `j` in row `row`, as vec2f: */
export interface Modes {
  name: string
  /** The input, of u and `second`. */
  input: string
  /** What dy adds to the gradient of the state, of d and `second`. */
  incoming: string
  /** What a row adds to the gradient of `second`, of `x`, the state after it, and its gradient `dx`. */
  ofSecond: string
}

const library = `
fn times(a: vec2f, b: vec2f) -> vec2f { return vec2f(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x); }
fn conjugate(a: vec2f) -> vec2f { return vec2f(a.x, -a.y); }`

/** w of mode j, and the second of its numbers [J, 4]. */
const numbersOfMode = `
  let mode = p.modes_at + 4u * j;
  let w = vec2f(modes[mode], modes[mode + 1u]);
  let second = vec2f(modes[mode + 2u], modes[mode + 3u]);`

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
    let row = u32(select(first + t, first - t, p.backwards == 1u));
    x = times(w, x) + ${input};
  }
  var dx = vec2f(0.0);
  for (var t = rows - 1; t >= 0; t--) {
    if (t % ${R} == ${R - 1} || t == rows - 1) {
      let at = (u32(piece + t / ${R}) * p.J + j) * 2u;
      after[at] = dx.x;
      after[at + 1u] = dx.y;
    }
    let row = u32(select(first + t, first - t, p.backwards == 1u));
    dx = times(conjugate(w), dx + ${incoming});
  }`,
})

/**
 * A thread for each mode of a piece: its states [pieces R, 2 J], and from the last to the first their gradients in place of them. `sums` [all
 * pieces, 4 J]: what the piece adds to the gradients of both numbers of a mode.
 */
const backKernel = ({ name, input, incoming, ofSecond }: Modes): Kernel => ({
  name: `${name} gradient back`,
  reads: ['u', 'd', 'modes', 'before', 'after'],
  writes: ['states', 'sums'],
  tables: ['pieces'],
  counts: ['J', 'M', 'across', 'backwards'],
  threads: 64,
  library: library + rowOf,
  body: `
  let local = block / p.across;
  let j = block % p.across * 64u + lane;
  if (j >= p.J) { return; }
  let piece = local * 4u;
  let rows = pieces[piece + 1u];
  let border = (u32(pieces[piece + 2u]) * p.J + j) * 2u;
  let mine = (local * ${R}u * p.J + j) * 2u;${numbersOfMode}
  let start = vec2f(before[border], before[border + 1u]);
  var x = start;
  for (var t = 0; t < rows; t++) {
    let row = row_of(piece, u32(t));
    x = times(w, x) + ${input};
    let at = mine + u32(t) * p.J * 2u;
    states[at] = x.x;
    states[at + 1u] = x.y;
  }
  var later = vec2f(after[border], after[border + 1u]);
  var dw = vec2f(0.0);
  var dsecond = vec2f(0.0);
  for (var t = rows - 1; t >= 0; t--) {
    let row = row_of(piece, u32(t));
    let at = mine + u32(t) * p.J * 2u;
    let dx = later + ${incoming};
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
  library: library + rowOf,
  body: `
  let i = block * 64u + lane;
  if (i >= p.count * ${R}u * p.cols) { return; }
  let r = i / p.cols;
  let c = i % p.cols;
  let piece = r / ${R}u * 4u;
  if (r % ${R}u >= u32(pieces[piece + 1u])) { return; }
  let row = row_of(piece, r % ${R}u);
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
 * The gradients of w and of the second number of each mode [1, 4 J], which the caller releases; that of u is added to du. As many channels at a time as
 * there is room for: of a piece row by row, and of the states and sums of all pieces.
 */
export function modesGradient(machine: Machine, recurrence: Recurrence, du: GpuTensor | null): GpuTensor {
  const { u, d, numbers, D, M, segments, direction } = recurrence
  const J = numbers.rows
  const { count } = piecesOf(partsOf(segments, direction, u.rows).parts, direction, R)
  const gradient = machine.allocate(1, 4 * J)
  machine.clear(gradient)
  const channels = J / M
  for (const [from, to] of rangesOf(channels, 1, machine.roomBytes / 4 / M / Math.max(2 * R, 4 * count))) {
    /** Of x, which has as many columns for each of the channels. */
    const columns = (x: GpuTensor) => columnsOf(x, (from * x.cols) / channels, (to * x.cols) / channels)
    const part = { u: columns(u), d: columns(d), D: columns(D), numbers: rowsOf(numbers, from * M, to * M) }
    ofChannels(machine, { ...recurrence, ...part }, du && columns(du), columns(gradient))
  }
  return gradient
}

/**
 * One thread for each mode goes from end to end of a segment for the states at the borders of its pieces; the states of some pieces at a time
 * follow from them.
 */
function ofChannels(machine: Machine, recurrence: Recurrence, du: GpuTensor | null, gradient: GpuTensor): void {
  const { u, d, numbers: modes, D, M, segments, direction } = recurrence
  const J = modes.rows
  const backwards = direction === 'reverse' ? 1 : 0
  const across = Math.ceil(J / 64)
  const { parts } = partsOf(segments, direction, u.rows)
  const { segments: table, pieces, count: all } = piecesOf(parts, direction, R)
  const [before, after] = [0, 1].map(() => machine.allocate(all, 2 * J))
  const sums = machine.allocate(all, 4 * J)
  const numbers = { J, M, across, backwards }
  machine.run(bordersKernel(recurrence.modes), {
    tensors: { u, d, modes, before, after },
    tables: { segments: table },
    numbers,
    blocks: parts.length * across,
  })
  for (const some of someOf(machine, pieces, 8 * R * J)) {
    const count = some.length / 4
    const states = machine.allocate(count * R, 2 * J)
    machine.run(backKernel(recurrence.modes), {
      tensors: { u, d, modes, before, after, states, sums },
      tables: { pieces: some },
      numbers,
      blocks: count * across,
    })
    if (du)
      machine.run(inputKernel(recurrence.modes.name, recurrence.ofInput), {
        tensors: { d, modes, D, states, du },
        tables: { pieces: some },
        numbers: { ...numbers, count, cols: du.cols },
        blocks: Math.ceil((count * R * du.cols) / 64),
      })
    machine.release(states)
  }
  foldRows(machine, sums, gradient)
  for (const x of [before, after, sums]) machine.release(x)
}
