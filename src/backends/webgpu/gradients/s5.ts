import type { S5Args, S5Gradients, Tensor } from '../../backend.js'
import { discretised } from '../discretise.js'
import type { Kernel } from '../kernel.js'
import type { Machine } from '../machine.js'
import { columnsOf, gpu, optional, reshaped } from '../tensor.js'
import { discretisedGradient } from './discretise.js'
import { put } from './elementwise.js'
import { type Modes, modesGradient } from './modes.js'

/** Each mode has an input and a result of its own; `held`, which the input is multiplied by, is the second number. */
const modes: Modes = {
  name: 's5',
  input: 'times(second, vec2f(u[p.u_at + row * p.u_step + 2u * j], u[p.u_at + row * p.u_step + 2u * j + 1u]))',
  incoming: 'vec2f(d[p.d_at + row * p.d_step + 2u * j], d[p.d_at + row * p.d_step + 2u * j + 1u])',
  ofSecond: 'times(dx, vec2f(u[p.u_at + row * p.u_step + 2u * j], -u[p.u_at + row * p.u_step + 2u * j + 1u]))',
}

const ofInput = `
  let dx = vec2f(states[mine + (c & ~1u)], states[mine + (c | 1u)]);
  let mode = p.modes_at + 4u * (c / 2u);
  let sum = times(dx, vec2f(modes[mode + 2u], -modes[mode + 3u]))[c & 1u];`

/** [P, 4]: w and held. */
const modesKernel: Kernel = {
  name: 's5 gradient modes',
  reads: ['Lambda', 'log_step'],
  writes: ['y'],
  counts: ['P'],
  threads: 64,
  library: discretised('zoh'),
  body: `
  let i = block * 64u + lane;
  if (i >= p.P) { return; }
  let at = p.Lambda_at + i * p.Lambda_step;
  let step = discretised(vec2f(Lambda[at], Lambda[at + 1u]), exp(log_step[p.log_step_at + i]));
  y[4u * i] = step.w.x;
  y[4u * i + 1u] = step.w.y;
  y[4u * i + 2u] = step.held.x;
  y[4u * i + 3u] = step.held.y;`,
}

/** Lambda [P, 2], then log_step [1, P], side by side. */
const parametersKernel: Kernel = {
  name: 's5 gradient parameters',
  reads: ['Lambda', 'log_step', 'd'],
  writes: ['y'],
  counts: ['P'],
  threads: 64,
  library: discretisedGradient('zoh'),
  body: `
  let i = block * 64u + lane;
  if (i >= p.P) { return; }
  let at = p.Lambda_at + i * p.Lambda_step;
  let dt = exp(log_step[p.log_step_at + i]);
  let of_w = vec2f(d[4u * i], d[4u * i + 1u]);
  let of_held = vec2f(d[4u * i + 2u], d[4u * i + 3u]);
  let of_step = discretised_gradient(vec2f(Lambda[at], Lambda[at + 1u]), dt, of_w, of_held);
  y[2u * i] = of_step.A.x;
  y[2u * i + 1u] = of_step.A.y;
  y[2u * p.P + i] = dt * of_step.dt;`,
}

export function s5Gradient(machine: Machine, dy: Tensor, args: S5Args, into: S5Gradients): void {
  const [T, P] = [args.u.rows, args.log_step.cols]
  const { segments, direction } = args
  const [Lambda, log_step] = [gpu(args.Lambda, P, 2), gpu(args.log_step, 1, P)]
  const [d, u] = [gpu(dy, T, 2 * P), gpu(args.u, T, 2 * P)]
  const numbers = machine.allocate(P, 4)
  const blocks = Math.ceil(P / 64)
  machine.run(modesKernel, { tensors: { Lambda, log_step, y: numbers }, numbers: { P }, blocks })
  const recurrence = { modes, ofInput, d, u, numbers, D: log_step, M: 1, segments, direction }
  const gradient = modesGradient(machine, recurrence, optional(into.du, T, 2 * P))
  const each = machine.allocate(1, 3 * P)
  machine.run(parametersKernel, { tensors: { Lambda, log_step, d: gradient, y: each }, numbers: { P }, blocks })
  const ofLambda = reshaped(columnsOf(each, 0, 2 * P), P, 2)
  put(machine, optional(into.dLambda, P, 2), '+=', 'x_one', { x: ofLambda })
  put(machine, optional(into.dlog_step, 1, P), '+=', 'x_one', { x: columnsOf(each, 2 * P, 3 * P) })
  for (const x of [numbers, gradient, each]) machine.release(x)
}
