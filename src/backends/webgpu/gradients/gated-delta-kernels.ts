import type { Kernel } from '../kernel.js'
import { softplus } from '../math.js'
import { slopes } from './elementwise.js'
import { rowOf } from './pieces.js'

/** Rows of a piece. */
export const pieceRows = 64

// B and C are where `together` has put q and k.
const counts = ['E', 'H', 'G', 'V', 'R', 'across', 'backwards', 'B_at', 'B_step', 'C_at', 'C_step']

/** Where row `row` of column `e` finds its query and key, decay and beta. */
const ofRow = (K: number) => `
    let head = e / p.V;
    let query = p.B_at + row * p.B_step + head / (p.H / p.G) * ${K}u;
    let key = p.C_at + row * p.C_step + head / (p.H / p.G) * ${K}u;
    let decay = factors[row * 2u * p.H + head];
    let beta = factors[row * 2u * p.H + p.H + head];`

/** The state `s` one row on; `value`: of the column in that row. */
const advance = (K: number, value: string) => `
    var known = 0.0;
    for (var i = 0u; i < ${K}u; i++) { s[i] *= decay; known += qk[key + i] * s[i]; }
    let written = beta * (${value} - known);
    for (var i = 0u; i < ${K}u; i++) { s[i] += qk[key + i] * written; }`

/**
 * A thread for each column of the values of a segment, once there and once back: the states before its pieces, and the gradients of those after
 * them, [pieces, E K]. `segments`: first row in reading order, rows, first piece.
 */
export const bordersKernel = (K: number): Kernel => ({
  name: `gated delta gradient borders ${K}`,
  reads: ['qk', 'v', 'd', 'factors'],
  writes: ['before', 'after'],
  tables: ['segments'],
  counts,
  threads: 64,
  body: `
  let segment = block / p.across * 3u;
  let e = block % p.across * 64u + lane;
  if (e >= p.E) { return; }
  let first = segments[segment];
  let rows = segments[segment + 1u];
  let piece = segments[segment + 2u];
  var s: array<f32, ${K}>;
  for (var t = 0; t < rows; t++) {
    let row = u32(select(first + t, first - t, p.backwards == 1u));${ofRow(K)}
    if (t % ${pieceRows} == 0) {
      let at = (u32(piece + t / ${pieceRows}) * p.E + e) * ${K}u;
      for (var i = 0u; i < ${K}u; i++) { before[at + i] = s[i]; }
    }${advance(K, 'v[p.v_at + row * p.v_step + e]')}
  }
  for (var i = 0u; i < ${K}u; i++) { s[i] = 0.0; }
  for (var t = rows - 1; t >= 0; t--) {
    let row = u32(select(first + t, first - t, p.backwards == 1u));${ofRow(K)}
    if (t % ${pieceRows} == ${pieceRows - 1} || t == rows - 1) {
      let at = (u32(piece + t / ${pieceRows}) * p.E + e) * ${K}u;
      for (var i = 0u; i < ${K}u; i++) { after[at + i] = s[i]; }
    }
    let g = d[p.d_at + row * p.d_step + e];
    var along = 0.0;
    for (var i = 0u; i < ${K}u; i++) { s[i] += g * qk[query + i]; along += qk[key + i] * s[i]; }
    for (var i = 0u; i < ${K}u; i++) { s[i] = decay * (s[i] - beta * along * qk[key + i]); }
  }`,
})

/**
 * What the kernels below know of a row of some pieces, [pieces R, 5 E], as that of the selective scan (scan-kernels.ts): here the last two are
 * dy and the value. Afterwards: one; the gradients of beta and of the decay, of this column alone; dy; and the gradient of the value.
 */
export const givenKernel: Kernel = {
  name: 'gated delta gradient given',
  reads: ['v', 'd'],
  writes: ['given'],
  tables: ['pieces'],
  counts: ['E', 'R', 'count', 'backwards'],
  threads: 64,
  library: rowOf,
  body: `
  let i = block * 64u + lane;
  if (i >= p.count * p.R * p.E) { return; }
  let piece = i / p.E / p.R * 4u;
  let t = i / p.E % p.R;
  if (t >= u32(pieces[piece + 1u])) { return; }
  let row = row_of(piece, t);
  let at = i / p.E * 5u * p.E + i % p.E;
  given[at + 3u * p.E] = d[p.d_at + row * p.d_step + i % p.E];
  given[at + 4u * p.E] = v[p.v_at + row * p.v_step + i % p.E];`,
}

const walker = (K: number) => `
  let local = block / p.across;
  let piece = local * 4u;
  let e = block % p.across * 64u + lane;
  if (e >= p.E) { return; }
  let rows = u32(pieces[piece + 1u]);
  let border = (u32(pieces[piece + 2u]) * p.E + e) * ${K}u;`

/** The states after each row, [pieces R, E K]. */
export const statesKernel = (K: number): Kernel => ({
  name: `gated delta gradient states ${K}`,
  reads: ['qk', 'factors', 'before', 'given'],
  writes: ['states'],
  tables: ['pieces'],
  counts,
  threads: 64,
  library: rowOf,
  body: `${walker(K)}
  var s: array<f32, ${K}>;
  for (var i = 0u; i < ${K}u; i++) { s[i] = before[border + i]; }
  for (var t = 0u; t < rows; t++) {
    let row = row_of(piece, t);
    let r = local * p.R + t;${ofRow(K)}${advance(K, 'given[r * 5u * p.E + 4u * p.E + e]')}
    for (var i = 0u; i < ${K}u; i++) { states[(r * p.E + e) * ${K}u + i] = s[i]; }
  }`,
})

/** From the last row of each piece to the first; in place of the states it leaves what the column adds to the gradient of the key. */
export const backKernel = (K: number): Kernel => ({
  name: `gated delta gradient back ${K}`,
  reads: ['qk', 'factors', 'before', 'after'],
  writes: ['given', 'states'],
  tables: ['pieces'],
  counts,
  threads: 64,
  library: rowOf,
  body: `${walker(K)}
  var s: array<f32, ${K}>;
  for (var i = 0u; i < ${K}u; i++) { s[i] = after[border + i]; }
  for (var t = rows; t > 0u; t--) {
    let row = row_of(piece, t - 1u);
    let r = local * p.R + t - 1u;${ofRow(K)}
    let at = r * 5u * p.E + e;
    let now = (r * p.E + e) * ${K}u;
    let g = given[at + 3u * p.E];
    var along = 0.0;
    var known = 0.0;
    for (var i = 0u; i < ${K}u; i++) {
      s[i] += g * qk[query + i];
      along += qk[key + i] * s[i];
      var earlier = 0.0;
      if (t > 1u) { earlier = states[now - p.E * ${K}u + i]; } else { earlier = before[border + i]; }
      known += qk[key + i] * earlier;
    }
    let error = given[at + 4u * p.E] - decay * known;
    var of_decay = 0.0;
    for (var i = 0u; i < ${K}u; i++) {
      var earlier = 0.0;
      if (t > 1u) { earlier = states[now - p.E * ${K}u + i]; } else { earlier = before[border + i]; }
      states[now + i] = beta * (error * s[i] - along * decay * earlier);
      let through = s[i] - beta * along * qk[key + i];
      of_decay += through * earlier;
      s[i] = decay * through;
    }
    given[at] = 1.0;
    given[at + p.E] = along * error;
    given[at + 2u * p.E] = of_decay;
    given[at + 4u * p.E] = beta * along;
  }`,
})

/** A thread for each head of a row: the gradients of dt and beta, and what the row adds to that of A_log, [T, 3 H]. */
export const headsKernel: Kernel = {
  name: 'gated delta gradient heads',
  reads: ['given', 'dt', 'beta', 'A_log', 'bias'],
  writes: ['y'],
  tables: ['pieces'],
  counts: ['E', 'H', 'V', 'R', 'count', 'backwards'],
  threads: 64,
  library: slopes + softplus + rowOf,
  body: `
  let i = block * 64u + lane;
  if (i >= p.count * p.R * p.H) { return; }
  let r = i / p.H;
  let h = i % p.H;
  let piece = r / p.R * 4u;
  if (r % p.R >= u32(pieces[piece + 1u])) { return; }
  let row = row_of(piece, r % p.R);
  var of_beta = 0.0;
  var of_decay = 0.0;
  for (var e = h * p.V; e < (h + 1u) * p.V; e++) {
    of_beta += given[r * 5u * p.E + p.E + e];
    of_decay += given[r * 5u * p.E + 2u * p.E + e];
  }
  let raw = dt[p.dt_at + row * p.dt_step + h] + bias[p.bias_at + h];
  let A = -exp(A_log[p.A_log_at + h]);
  let step = softplus(raw);
  let of_exponent = of_decay * exp(max(-80.0, step * A)) * A;
  let share = beta[p.beta_at + row * p.beta_step + h];
  let at = row * 3u * p.H + h;
  y[at] = of_exponent * softplus_slope(raw);
  y[at + p.H] = of_beta * sigmoid_slope(share);
  y[at + 2u * p.H] = of_exponent * step;`,
}
