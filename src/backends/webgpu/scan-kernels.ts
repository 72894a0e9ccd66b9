import type { Kernel } from './kernel.js'
import { sigmoid, softplus } from './math.js'

/** What the code of a scan depends on. */
export interface ScanShape {
  N: number
  softplus: boolean
  z: boolean
  add: boolean
  state: boolean
  /** The input is B u, not B u times the step, which is a decay alone. */
  plain?: boolean
}

/** Code for each state. Written out for as many as fit into registers, where an array must be indexed by constants. */
export const each = (N: number, code: (n: string) => string): string =>
  N <= 32
    ? Array.from({ length: N }, (_, n) => code(`${n}u`)).join('\n    ')
    : `for (var n = 0u; n < ${N}u; n++) { ${code('n')} }`

/** [E, N + 2] in one buffer, because a kernel has no more than eight: log2(e) A, then D, then the bias of dt. */
export const parametersKernel = (N: number, D: boolean, bias: boolean): Kernel => ({
  name: `scan parameters ${N} ${D} ${bias}`,
  reads: ['A_log', ...(D ? ['D'] : []), ...(bias ? ['bias'] : [])],
  writes: ['y'],
  counts: ['E'],
  threads: 64,
  body: `
  let e = block * 64u + lane;
  if (e >= p.E) { return; }
  let at = p.y_at + e * ${N + 2}u;
  for (var n = 0u; n < ${N}u; n++) { y[at + n] = -1.4426950408889634 * exp(A_log[p.A_log_at + e * p.A_log_step + n]); }
  y[at + ${N}u] = ${D ? 'D[p.D_at + e]' : '0.0'};
  y[at + ${N + 1}u] = ${bias ? 'bias[p.bias_at + e]' : '0.0'};`,
})

/**
 * The phases that read rows: a thread for each channel of a piece, its states in registers, and the same B and C for all threads of a
 * group of channels. `pieces`: first row to read, rows, block of `state` to start from (-1: zero), and block to leave the last one in
 * (-1: none).
 */
const walk = ({ N, softplus, plain }: ScanShape, start: string, eachRow: string, atEnd: string): string => `
  let piece = block / p.across * 4u;
  let e = block % p.across * 64u + lane;
  if (e >= p.E) { return; }
  let rows = pieces[piece + 1u];
  let group_at = e * p.G / p.E * ${N}u;
  let mine = p.parameters_at + e * ${N + 2}u;
  var A: array<f32, ${N}>;
  var h: array<f32, ${N}>;
  ${each(N, (n) => `A[${n}] = parameters[mine + ${n}];`)}
  let D = parameters[mine + ${N}u];
  let bias = parameters[mine + ${N + 1}u];
  ${start}
  for (var t = 0; t < rows; t++) {
    let row = u32(select(pieces[piece] + t, pieces[piece] - t, p.backwards == 1u));
    let raw = dt[p.dt_at + row * p.dt_step + e] + bias;
    let step = ${softplus ? 'softplus(raw)' : 'raw'};
    let input = u[p.u_at + row * p.u_step + e];
    let weighed = ${plain ? 'input' : 'step * input'};
    let B = p.B_at + row * p.B_step + group_at;
    ${eachRow}
  }
  ${atEnd}`

const leaveState = (N: number) => `
  let kept = p.state_at + (u32(leave) * p.E + e) * ${N}u;
  ${each(N, (n) => `state[kept + ${n}] = h[${n}];`)}`

const counts = ['E', 'G', 'across', 'backwards', 'B_at', 'B_step', 'C_at', 'C_step']

/** The last state of each piece from zero, and the sum of its steps: all that went before decays by exp(A sum). */
export const summaryKernel = (shape: ScanShape): Kernel => {
  const { N } = shape
  const eachRow = `
    sum += step;
    ${each(N, (n) => `h[${n}] = exp2(step * A[${n}]) * h[${n}] + weighed * BC[B + ${n}];`)}`
  const atEnd = `
  let leave = pieces[piece + 3u];
  sums[p.sums_at + u32(leave) * p.E + e] = sum;${leaveState(N)}`
  return {
    name: `scan summary ${N} ${shape.softplus} ${!!shape.plain}`,
    reads: ['u', 'dt', 'BC', 'parameters'],
    writes: ['state', 'sums'],
    tables: ['pieces'],
    counts,
    threads: 64,
    library: softplus,
    body: walk(shape, 'var sum = 0.0;', eachRow, atEnd),
  }
}

/**
 * A thread for each state: from the last states of pieces to those before them, in place. `segments`: first piece, pieces, slot to start
 * from and slot to leave the last one in (-1: none). `sums`: of the steps of a channel, whose states decay each at a rate of its own, or
 * (SSD) of the log2 decays of a head, of which there are H.
 */
export const foldKernel = (N: number, state: boolean, decays: 'state' | 'head'): Kernel => ({
  name: `scan fold ${N} ${state} ${decays}`,
  reads: ['sums', ...(decays === 'state' ? ['parameters'] : [])],
  writes: ['ends', ...(state ? ['state'] : [])],
  tables: ['segments'],
  counts: ['E', 'H', 'across'],
  threads: 64,
  body: `
  let segment = block / p.across * 4u;
  let i = block % p.across * 64u + lane;
  if (i >= p.E * ${N}u) { return; }
  let e = i / ${N}u;
  ${decays === 'state' ? `let A = parameters[p.parameters_at + e * ${N + 2}u + i % ${N}u];` : 'let head = e / (p.E / p.H);'}
  var h = 0.0;
  ${state ? `if (segments[segment + 2u] >= 0) { h = state[p.state_at + u32(segments[segment + 2u]) * p.E * ${N}u + i]; }` : ''}
  let first = u32(segments[segment]);
  for (var piece = first; piece < first + u32(segments[segment + 1u]); piece++) {
    let at = p.ends_at + piece * p.E * ${N}u + i;
    let next = exp2(${decays === 'state' ? 'A * sums[p.sums_at + piece * p.E + e]' : 'sums[p.sums_at + piece * p.H + head]'}) * h + ends[at];
    ends[at] = h;
    h = next;
  }
  ${state ? `if (segments[segment + 3u] >= 0) { state[p.state_at + u32(segments[segment + 3u]) * p.E * ${N}u + i] = h; }` : ''}`,
})

/** y of each piece from the state before it; D and the gate ride along. */
export const applyKernel = (shape: ScanShape): Kernel => {
  const { N, z, add, state } = shape
  const start = state
    ? `
  let resume = pieces[piece + 2u];
  if (resume >= 0) {
    let before = p.state_at + (u32(resume) * p.E + e) * ${N}u;
    ${each(N, (n) => `h[${n}] = state[before + ${n}];`)}
  }`
    : ''
  const eachRow = `
    let C = p.C_at + row * p.C_step + group_at;
    var sum = D * input;
    ${each(N, (n) => `h[${n}] = exp2(step * A[${n}]) * h[${n}] + weighed * BC[B + ${n}]; sum += BC[C + ${n}] * h[${n}];`)}
    ${z ? 'sum *= silu(z[p.z_at + row * p.z_step + e]);' : ''}
    y[p.y_at + row * p.y_step + e] ${add ? '+=' : '='} sum;`
  const atEnd = state ? `let leave = pieces[piece + 3u];\n  if (leave >= 0) {${leaveState(N)}\n  }` : ''
  return {
    name: `scan apply ${N} ${shape.softplus} ${z} ${add} ${state}`,
    reads: ['u', 'dt', 'BC', 'parameters', ...(z ? ['z'] : [])],
    writes: ['y', ...(state ? ['state'] : [])],
    tables: ['pieces'],
    counts,
    threads: 64,
    library: softplus + sigmoid,
    body: walk(shape, start, eachRow, atEnd),
  }
}
