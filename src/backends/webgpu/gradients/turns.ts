import type { Tensor, TurnsArgs, TurnsGradients } from '../../backend.js'
import { turnsShape } from '../../turns.js'
import type { Kernel } from '../kernel.js'
import type { Machine } from '../machine.js'
import { sigmoid, softplus } from '../math.js'
import { partsOf } from '../parts.js'
import { type GpuTensor, gpu, optional } from '../tensor.js'
import { turns } from '../turns.js'
import { put, slopes } from './elementwise.js'
import { foldRows } from './fold.js'

/** A thread for each pair of a head of a part, from its last row: the gradient of what a row adds to the angle over pi, [T, H S]. */
const anglesKernel: Kernel = {
  name: 'turns gradient angles',
  reads: ['d', 'y'],
  writes: ['sums'],
  tables: ['parts'],
  counts: ['H', 'S', 'across'],
  threads: 64,
  body: `
  let part = block / p.across * 4u;
  let i = block % p.across * 64u + lane;
  if (i >= p.H * p.S) { return; }
  let cosine = 2u * (i / p.S) * p.S + i % p.S;
  var sum = 0.0;
  for (var t = parts[part + 1u] - 1; t >= 0; t--) {
    let row = u32(parts[part] + t);
    let dy = p.d_at + row * p.d_step + cosine;
    let at = row * 2u * p.H * p.S + cosine;
    sum += d[dy + p.S] * y[at] - d[dy] * y[at + p.S];
    sums[row * p.H * p.S + i] = 3.141592653589793 * sum;
  }`,
}

const tanh = `
fn tanh_of(x: f32) -> f32 { return 2.0 * sigmoid(2.0 * x) - 1.0; }`

/** A thread for each angle of a row: the heads of its group turn by it. */
const groupsKernel: Kernel = {
  name: 'turns gradient groups',
  reads: ['sums', 'angles', 'dt', 'bias'],
  writes: ['dangles'],
  counts: ['T', 'H', 'S', 'A'],
  threads: 64,
  library: sigmoid + tanh + softplus,
  body: `
  let i = block * 64u + lane;
  if (i >= p.T * p.A * p.S) { return; }
  let row = i / (p.A * p.S);
  let angle = i % (p.A * p.S);
  let share = p.H / p.A;
  let first = angle / p.S * share;
  var sum = 0.0;
  for (var h = first; h < first + share; h++) {
    sum += sums[(row * p.H + h) * p.S + angle % p.S] * softplus(dt[p.dt_at + row * p.dt_step + h] + bias[p.bias_at + h]);
  }
  let turned = tanh_of(angles[p.angles_at + row * p.angles_step + angle]);
  dangles[p.dangles_at + row * p.dangles_step + angle] += sum * (1.0 - turned * turned);`,
}

/** A thread for each head of a row, [T, H]. */
const stepsKernel: Kernel = {
  name: 'turns gradient steps',
  reads: ['sums', 'angles', 'dt', 'bias'],
  writes: ['y'],
  counts: ['T', 'H', 'S', 'A'],
  threads: 64,
  library: slopes + tanh,
  body: `
  let i = block * 64u + lane;
  if (i >= p.T * p.H) { return; }
  let row = i / p.H;
  let h = i % p.H;
  let angle = p.angles_at + row * p.angles_step + h / (p.H / p.A) * p.S;
  var sum = 0.0;
  for (var s = 0u; s < p.S; s++) { sum += sums[i * p.S + s] * tanh_of(angles[angle + s]); }
  y[i] = sum * softplus_slope(dt[p.dt_at + row * p.dt_step + h] + bias[p.bias_at + h]);`,
}

export function turnsGradient(machine: Machine, dy: Tensor, args: TurnsArgs, into: TurnsGradients): void {
  const { T, H, S, A } = turnsShape(args)
  const { parts, table } = partsOf(args.segments, 'forward', T)
  const [angles, dt, bias] = [gpu(args.angles, T, A * S), gpu(args.dt, T, H), gpu(args.dtBias, 1, H)]
  const y = gpu(turns(machine, args, null))
  const sums = machine.allocate(T, H * S)
  const across = Math.ceil((H * S) / 64)
  machine.run(anglesKernel, {
    tensors: { d: gpu(dy, T, 2 * H * S), y, sums },
    tables: { parts: table },
    numbers: { H, S, across },
    blocks: parts.length * across,
  })
  const run = (kernel: Kernel, tensors: Record<string, GpuTensor>, threads: number) =>
    machine.run(kernel, {
      tensors: { sums, angles, dt, bias, ...tensors },
      numbers: { T, H, S, A },
      blocks: Math.ceil(threads / 64),
    })
  const dangles = optional(into.dangles, T, A * S)
  if (dangles) run(groupsKernel, { dangles }, T * A * S)
  const rows = machine.allocate(T, H)
  run(stepsKernel, { y: rows }, T * H)
  put(machine, into.ddt, '+=', 'rows_one', { rows })
  foldRows(machine, rows, optional(into.ddtBias, 1, H))
  for (const x of [y, sums, rows]) machine.release(x)
}
