import type { S4dArgs, Tensor } from '../backend.js'
import type { Discretisation } from '../discretise.js'
import { discretised } from './discretise.js'
import type { Kernel } from './kernel.js'
import type { Machine } from './machine.js'
import { partsOf } from './parts.js'
import { type GpuTensor, gpu, stateOf } from './tensor.js'

/** What a thread for each mode, its number i, reads of it: A and dt, and where its C is. */
export const ofMode = `
  let i = block * 64u + lane;
  if (i >= p.H * p.M) { return; }
  let h = i / p.M;
  let m = i % p.M;
  let dt = exp(log_dt[p.log_dt_at + h]);
  let A = vec2f(-exp(log_A_real[p.log_A_real_at + h * p.log_A_real_step + m]), A_imag[p.A_imag_at + h * p.A_imag_step + m]);
  let at = p.C_at + h * p.C_step + 2u * m;`

/** [H M, 4]: w, and c = 2 C held, of each mode. */
const discretiseKernel = (how: Discretisation): Kernel => ({
  name: `s4d discretise ${how}`,
  reads: ['log_dt', 'log_A_real', 'A_imag', 'C'],
  writes: ['y'],
  counts: ['H', 'M'],
  threads: 64,
  library: discretised(how),
  body: `${ofMode}
  let step = discretised(A, dt);
  let c = 2.0 * times(vec2f(C[at], C[at + 1u]), step.held);
  y[4u * i] = step.w.x;
  y[4u * i + 1u] = step.w.y;
  y[4u * i + 2u] = c.x;
  y[4u * i + 3u] = c.y;`,
})

/** A thread for each channel of a part, its M modes in registers. `parts`: those of `partsOf`. */
const s4dKernel = (M: number, backwards: boolean, state: boolean): Kernel => ({
  name: `s4d ${M} ${backwards} ${state}`,
  reads: ['u', 'modes', 'D'],
  writes: ['y', ...(state ? ['state'] : [])],
  tables: ['parts'],
  counts: ['H', 'across'],
  threads: 64,
  body: `
  let part = block / p.across * 4u;
  let e = block % p.across * 64u + lane;
  if (e >= p.H) { return; }
  let first = parts[part];
  let rows = parts[part + 1u];
  var x: array<vec2f, ${M}>;
  ${
    state
      ? `
  let kept = p.state_at + (u32(max(0, parts[part + 2u])) * p.H + e) * ${2 * M}u;
  if (parts[part + 3u] == 1) {
    for (var m = 0u; m < ${M}u; m++) { x[m] = vec2f(state[kept + 2u * m], state[kept + 2u * m + 1u]); }
  }`
      : ''
  }
  for (var t = 0; t < rows; t++) {
    let row = u32(${backwards ? 'first + rows - 1 - t' : 'first + t'});
    let input = u[p.u_at + row * p.u_step + e];
    var sum = D[p.D_at + e] * input;
    for (var m = 0u; m < ${M}u; m++) {
      let mode = (e * ${M}u + m) * 4u;
      let w = vec2f(modes[mode], modes[mode + 1u]);
      x[m] = vec2f(w.x * x[m].x - w.y * x[m].y + input, w.x * x[m].y + w.y * x[m].x);
      sum += modes[mode + 2u] * x[m].x - modes[mode + 3u] * x[m].y;
    }
    y[p.y_at + row * p.H + e] = sum;
  }
  ${
    state
      ? `if (parts[part + 2u] >= 0) {
    for (var m = 0u; m < ${M}u; m++) {
      state[kept + 2u * m] = x[m].x;
      state[kept + 2u * m + 1u] = x[m].y;
    }
  }`
      : ''
  }`,
})

export function s4d(machine: Machine, args: S4dArgs, states: Tensor | null): Tensor {
  const [T, H, M] = [args.u.rows, args.u.cols, args.A_imag.cols]
  const { parts, table } = partsOf(args.segments, args.direction, T)
  const state = stateOf(states, H, 2 * M, parts)
  const modes = modesOf(machine, args)
  const y = machine.allocate(T, H)
  const across = Math.ceil(H / 64)
  machine.run(s4dKernel(M, args.direction === 'reverse', !!state), {
    tensors: { u: gpu(args.u, T, H), modes, D: gpu(args.D, 1, H), y, ...(state && { state }) },
    tables: { parts: table },
    numbers: { H, across },
    blocks: across * parts.length,
  })
  machine.release(modes)
  return y
}

/** [H M, 4]: see `discretiseKernel`. */
export function modesOf(machine: Machine, args: Omit<S4dArgs, 'segments' | 'direction'>): GpuTensor {
  const [H, M] = [args.u.cols, args.A_imag.cols]
  const modes = machine.allocate(H * M, 4)
  machine.run(discretiseKernel(args.discretisation), {
    tensors: {
      log_dt: gpu(args.log_dt, 1, H),
      log_A_real: gpu(args.log_A_real, H, M),
      A_imag: gpu(args.A_imag, H, M),
      C: gpu(args.C, H, 2 * M),
      y: modes,
    },
    numbers: { H, M },
    blocks: Math.ceil((H * M) / 64),
  })
  return modes
}
