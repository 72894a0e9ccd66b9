import type { Kernel } from '../kernel.js'
import { sigmoid, softplus } from '../math.js'
import { each } from '../scan-kernels.js'
import { slopes } from './elementwise.js'
import { rowOf } from './pieces.js'

/** What the code depends on. */
export interface GradientShape {
  N: number
  softplus: boolean
  z: boolean
  /** The input is B u, not B u times the step, which is a decay alone. */
  plain: boolean
}

const places = ['B_at', 'B_step', 'C_at', 'C_step']

/**
 * A thread for each channel of a piece, from its last row to its first: what the gradient of the state before the piece is if that after it is
 * zero, and the sum of the steps; both under the number from the end.
 */
export const adjointKernel = ({ N, softplus: soft, z }: GradientShape): Kernel => ({
  name: `scan gradient adjoint ${N} ${soft} ${z}`,
  reads: ['dt', 'd', 'BC', 'parameters', ...(z ? ['z'] : [])],
  writes: ['state', 'sums'],
  tables: ['pieces'],
  counts: ['E', 'G', 'across', 'backwards', ...places],
  threads: 64,
  library: softplus + sigmoid + rowOf,
  body: `
  let piece = block / p.across * 4u;
  let e = block % p.across * 64u + lane;
  if (e >= p.E) { return; }
  let group_at = e * p.G / p.E * ${N}u;
  let mine = p.parameters_at + e * ${N + 2}u;
  var A: array<f32, ${N}>;
  var q: array<f32, ${N}>;
  ${each(N, (n) => `A[${n}] = parameters[mine + ${n}];`)}
  let bias = parameters[mine + ${N + 1}u];
  var sum = 0.0;
  for (var t = u32(pieces[piece + 1u]); t > 0u; t--) {
    let row = row_of(piece, t - 1u);
    let raw = dt[p.dt_at + row * p.dt_step + e] + bias;
    let step = ${soft ? 'softplus(raw)' : 'raw'};
    let g = d[p.d_at + row * p.d_step + e]${z ? ' * silu(z[p.z_at + row * p.z_step + e])' : ''};
    let C = p.C_at + row * p.C_step + group_at;
    sum += step;
    ${each(N, (n) => `q[${n}] = exp2(step * A[${n}]) * (q[${n}] + g * BC[C + ${n}]);`)}
  }
  let to = u32(pieces[piece + 3u]) * p.E + e;
  sums[to] = sum;
  ${each(N, (n) => `state[to * ${N}u + ${n}] = q[${n}];`)}`,
})

/**
 * The kernels below work on some of the pieces, `R` rows of room for each. What they know of a row lies together, [pieces R, 5 E], because a
 * kernel has no more than eight buffers: step; its slope; u; the gradient of what z gates; and that times what it does to z. Afterwards:
 * step u (plain: u); the gradients of dt and of u; as before; and the gradient of z.
 */
/** Numbers that are known of a row and channel. */
export const known = 5

export const givenKernel = ({ N, softplus: soft, z }: GradientShape): Kernel => ({
  name: `scan gradient given ${N} ${soft} ${z}`,
  reads: ['u', 'dt', 'parameters', 'd', ...(z ? ['z'] : [])],
  writes: ['given'],
  tables: ['pieces'],
  counts: ['E', 'R', 'count', 'backwards'],
  threads: 64,
  library: softplus + slopes + rowOf,
  body: `
  let i = block * 64u + lane;
  if (i >= p.count * p.R * p.E) { return; }
  let e = i % p.E;
  let piece = i / p.E / p.R * 4u;
  let t = i / p.E % p.R;
  if (t >= u32(pieces[piece + 1u])) { return; }
  let row = row_of(piece, t);
  let raw = dt[p.dt_at + row * p.dt_step + e] + parameters[p.parameters_at + e * ${N + 2}u + ${N + 1}u];
  let dy = d[p.d_at + row * p.d_step + e];
  let at = i / p.E * 5u * p.E + e;
  given[at] = ${soft ? 'softplus(raw)' : 'raw'};
  given[at + p.E] = ${soft ? 'softplus_slope(raw)' : '1.0'};
  given[at + 2u * p.E] = u[p.u_at + row * p.u_step + e];
  ${
    z
      ? `
  let gate = z[p.z_at + row * p.z_step + e];
  given[at + 3u * p.E] = dy * silu(gate);
  given[at + 4u * p.E] = dy * silu_slope(gate);`
      : 'given[at + 3u * p.E] = dy;'
  }`,
})

const walker = (N: number) => `
  let local = block / p.across;
  let piece = local * 4u;
  let e = block % p.across * 64u + lane;
  if (e >= p.E) { return; }
  let rows = u32(pieces[piece + 1u]);
  let group_at = e * p.G / p.E * ${N}u;
  let mine = p.parameters_at + e * ${N + 2}u;
  let first = (u32(pieces[piece + 2u]) * p.E + e) * ${N}u;
  var A: array<f32, ${N}>;
  ${each(N, (n) => `A[${n}] = parameters[mine + ${n}];`)}`

/** The states after each row, [pieces R, E N]. */
export const statesKernel = ({ N, plain }: GradientShape): Kernel => ({
  name: `scan gradient states ${N} ${plain}`,
  reads: ['given', 'BC', 'parameters', 'before'],
  writes: ['states'],
  tables: ['pieces'],
  counts: ['E', 'G', 'R', 'across', 'backwards', ...places],
  threads: 64,
  library: rowOf,
  body: `${walker(N)}
  var h: array<f32, ${N}>;
  ${each(N, (n) => `h[${n}] = before[first + ${n}];`)}
  for (var t = 0u; t < rows; t++) {
    let r = local * p.R + t;
    let step = given[r * 5u * p.E + e];
    let weighed = ${plain ? '' : 'step * '}given[r * 5u * p.E + 2u * p.E + e];
    let B = p.B_at + row_of(piece, t) * p.B_step + group_at;
    let at = (r * p.E + e) * ${N}u;
    ${each(N, (n) => `h[${n}] = exp2(step * A[${n}]) * h[${n}] + weighed * BC[B + ${n}]; states[at + ${n}] = h[${n}];`)}
  }`,
})

/**
 * From the last row of each piece to the first. In place of the states it leaves their gradients; `sums` [all pieces, E (N + 2)]: what the
 * piece adds to the gradients of A_log, D and the bias of dt.
 */
export const backKernel = ({ N, z, plain }: GradientShape): Kernel => ({
  name: `scan gradient back ${N} ${z} ${plain}`,
  reads: ['BC', 'parameters', 'before', 'after'],
  writes: ['given', 'states', 'sums'],
  tables: ['pieces'],
  counts: ['E', 'G', 'R', 'across', 'backwards', ...places],
  threads: 64,
  library: rowOf,
  body: `${walker(N)}
  let D = parameters[mine + ${N}u];
  let last = (u32(pieces[piece + 3u]) * p.E + e) * ${N}u;
  var q: array<f32, ${N}>;
  var dA: array<f32, ${N}>;
  ${each(N, (n) => `q[${n}] = after[last + ${n}];`)}
  var dD = 0.0;
  var dBias = 0.0;
  for (var t = rows; t > 0u; t--) {
    let r = local * p.R + t - 1u;
    let row = row_of(piece, t - 1u);
    let at = r * 5u * p.E + e;
    let step = given[at];
    let u = given[at + 2u * p.E];
    let g = given[at + 3u * p.E];
    let B = p.B_at + row * p.B_step + group_at;
    let C = p.C_at + row * p.C_step + group_at;
    let now = (r * p.E + e) * ${N}u;
    var y = D * u;
    var du = 0.0;
    var ofStep = 0.0;
    ${each(
      N,
      (n) => `{
      let h = states[now + ${n}];
      var earlier = 0.0;
      if (t > 1u) { earlier = states[now - p.E * ${N}u + ${n}]; } else { earlier = before[first + ${n}]; }
      let decay = exp2(step * A[${n}]);
      let dh = q[${n}] + g * BC[C + ${n}];
      let through = dh * decay * earlier;
      y += BC[C + ${n}] * h;
      du += dh * BC[B + ${n}];
      ofStep += 0.6931471805599453 * A[${n}] * through;
      dA[${n}] += step * through;
      q[${n}] = dh * decay;
      states[now + ${n}] = dh;
    }`,
    )}
    ofStep = ${plain ? 'ofStep' : '(ofStep + du * u)'} * given[at + p.E];
    given[at] = ${plain ? '' : 'step * '}u;
    given[at + p.E] = ofStep;
    given[at + 2u * p.E] = ${plain ? '' : 'step * '}du + g * D;
    ${z ? 'given[at + 4u * p.E] *= y;' : ''}
    dD += g * u;
    dBias += ofStep;
  }
  let to = u32(pieces[piece + 2u]) * p.E * ${N + 2}u;
  ${each(N, (n) => `sums[to + e * ${N}u + ${n}] = 0.6931471805599453 * A[${n}] * dA[${n}];`)}
  sums[to + p.E * ${N}u + e] = dD;
  sums[to + p.E * ${N + 1}u + e] = dBias;`,
})

/**
 * A thread for each state of a group of channels in a row: of all its channels the states, or their gradients, weighed by column `weigh` of
 * what is known of the row. That is the gradient of C, or of B.
 */
export const acrossKernel = (N: number): Kernel => ({
  name: `scan gradient across ${N}`,
  reads: ['given', 'states'],
  writes: ['y'],
  tables: ['pieces'],
  counts: ['E', 'G', 'R', 'count', 'backwards', 'weigh'],
  threads: 64,
  library: rowOf,
  body: `
  let i = block * 64u + lane;
  let width = p.G * ${N}u;
  if (i >= p.count * p.R * width) { return; }
  let r = i / width;
  let piece = r / p.R * 4u;
  if (r % p.R >= u32(pieces[piece + 1u])) { return; }
  let shared_by = i % width / ${N}u;
  let n = i % ${N}u;
  var sum = 0.0;
  for (var e = (shared_by * p.E + p.G - 1u) / p.G; e < ((shared_by + 1u) * p.E + p.G - 1u) / p.G; e++) {
    sum += given[r * 5u * p.E + p.weigh * p.E + e] * states[(r * p.E + e) * ${N}u + n];
  }
  y[p.y_at + row_of(piece, r % p.R) * p.y_step + i % width] += sum;`,
})
