import type { S4dArgs, S4dGradients, Tensor } from '../../backend.js'
import type { Discretisation } from '../../discretise.js'
import type { Kernel } from '../kernel.js'
import type { Machine } from '../machine.js'
import { modesOf, ofMode } from '../s4d.js'
import { type GpuTensor, gpu, optional } from '../tensor.js'
import { discretisedGradient } from './discretise.js'
import { made } from './elementwise.js'
import { foldRows } from './fold.js'
import { type Modes, modesGradient } from './modes.js'

/** M modes of a channel share its input and add up to its output, the real part of c x; c = 2 C held is the second number. */
const modes: Modes = {
  name: 's4d',
  input: 'vec2f(u[p.u_at + row * p.u_step + j / p.M], 0.0)',
  incoming: 'd[p.d_at + row * p.d_step + j / p.M] * conjugate(second)',
  ofSecond: 'd[p.d_at + row * p.d_step + j / p.M] * conjugate(x)',
}

const ofInput = `
  var sum = d[p.d_at + row * p.d_step + c] * D[p.D_at + c];
  for (var m = 0u; m < p.M; m++) { sum += states[mine + 2u * (c * p.M + m)]; }`

/** [H M, 5]: gradients of log_dt, log_A_real, A_imag and C, of each mode. */
const parametersKernel = (how: Discretisation): Kernel => ({
  name: `s4d gradient parameters ${how}`,
  reads: ['log_dt', 'log_A_real', 'A_imag', 'C', 'd'],
  writes: ['y'],
  counts: ['H', 'M'],
  threads: 64,
  library: discretisedGradient(how),
  body: `${ofMode}
  let of_c = vec2f(d[4u * i + 2u], d[4u * i + 3u]);
  let of_C = 2.0 * along(of_c, discretised(A, dt).held);
  let of_step = discretised_gradient(A, dt, vec2f(d[4u * i], d[4u * i + 1u]), along(of_c, 2.0 * vec2f(C[at], C[at + 1u])));
  y[5u * i] = dt * of_step.dt;
  y[5u * i + 1u] = of_step.A.x * A.x;
  y[5u * i + 2u] = of_step.A.y;
  y[5u * i + 3u] = of_C.x;
  y[5u * i + 4u] = of_C.y;`,
})

/** y [H, M width] += columns `first` .. of x [H M, 5], or y [1, H] their sums over the modes of a channel. */
const takeKernel = (summed: boolean): Kernel => ({
  name: `s4d gradient take ${summed}`,
  reads: ['x'],
  writes: ['y'],
  counts: ['H', 'M', 'first', 'width'],
  threads: 64,
  body: `
  let i = block * 64u + lane;
  ${
    summed
      ? `
  if (i >= p.H) { return; }
  var sum = 0.0;
  for (var m = 0u; m < p.M; m++) { sum += x[5u * (i * p.M + m) + p.first]; }
  y[p.y_at + i] += sum;`
      : `
  let cols = p.M * p.width;
  if (i >= p.H * cols) { return; }
  y[p.y_at + i / cols * p.y_step + i % cols] += x[5u * (i / p.width) + p.first + i % p.width];`
  }`,
})

export function s4dGradient(machine: Machine, dy: Tensor, args: S4dArgs, into: S4dGradients): void {
  const [T, H, M] = [args.u.rows, args.u.cols, args.A_imag.cols]
  const { discretisation, segments, direction } = args
  const [d, u, D] = [gpu(dy, T, H), gpu(args.u), gpu(args.D, 1, H)]
  const dD = optional(into.dD, 1, H)
  if (dD) {
    const products = made(machine, 'd_one * u_one', { d, u })
    foldRows(machine, products, dD)
    machine.release(products)
  }
  const numbers = modesOf(machine, args)
  const recurrence = { modes, ofInput, d, u, numbers, D, M, segments, direction }
  const gradient = modesGradient(machine, recurrence, optional(into.du, T, H))
  const each = machine.allocate(H * M, 5)
  machine.run(parametersKernel(discretisation), {
    tensors: {
      log_dt: gpu(args.log_dt, 1, H),
      log_A_real: gpu(args.log_A_real, H, M),
      A_imag: gpu(args.A_imag, H, M),
      C: gpu(args.C, H, 2 * M),
      d: gradient,
      y: each,
    },
    numbers: { H, M },
    blocks: Math.ceil((H * M) / 64),
  })
  const take = (y: GpuTensor | null, first: number, width: number, summed = false) => {
    if (!y) return
    const blocks = Math.ceil((summed ? H : H * M * width) / 64)
    machine.run(takeKernel(summed), { tensors: { x: each, y }, numbers: { H, M, first, width }, blocks })
  }
  take(optional(into.dlog_dt, 1, H), 0, 1, true)
  take(optional(into.dlog_A_real, H, M), 1, 1)
  take(optional(into.dA_imag, H, M), 2, 1)
  take(optional(into.dC, H, 2 * M), 3, 2)
  for (const x of [numbers, gradient, each]) machine.release(x)
}
