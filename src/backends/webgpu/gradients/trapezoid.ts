import type { Tensor, TrapezoidArgs, TrapezoidGradients } from '../../backend.js'
import { trapezoidShape } from '../../trapezoid.js'
import type { Kernel } from '../kernel.js'
import type { Machine } from '../machine.js'
import { softplus } from '../math.js'
import { findPart, partsOf } from '../parts.js'
import { columnsOf, type GpuTensor, gpu, optional } from '../tensor.js'
import { put, slopes } from './elementwise.js'
import { foldRows } from './fold.js'
import { scanGradient } from './scan.js'

/*
 * What the row before gives is decayed with the state, so it may be given a row earlier: the states S'[t] = S[t] + late v k' with
 * late = (1 - w) dt of the row after (at the end 0) go S' = a S' + (w dt + late) v k', a selective scan, and y = S' q + (D - late q k) v.
 */

const rate = `${slopes}${softplus}
fn rate_of(A: f32) -> f32 { return select(1.0 / (1.0 - min(A, 0.0)), 1.0 + A, A >= 0.0); }`

/** [T, 3 H]: minus log a, w dt + late, and late. */
const factorsKernel: Kernel = {
  name: 'trapezoid gradient factors',
  reads: ['dt', 'A', 'trap', 'bias'],
  writes: ['y'],
  tables: ['parts'],
  counts: ['T', 'H', 'count'],
  reals: ['least'],
  threads: 64,
  library: rate + findPart(4),
  body: `
  let i = block * 64u + lane;
  if (i >= p.T * p.H) { return; }
  let row = i / p.H;
  let h = i % p.H;
  let part = find_part(i32(row), p.count);
  let step = softplus(dt[p.dt_at + row * p.dt_step + h] + bias[p.bias_at + h]);
  var late = 0.0;
  if (i32(row) + 1 < parts[part] + parts[part + 1u]) {
    late = sigmoid(-trap[p.trap_at + (row + 1u) * p.trap_step + h]) * softplus(dt[p.dt_at + (row + 1u) * p.dt_step + h] + bias[p.bias_at + h]);
  }
  let at = row * 3u * p.H + h;
  y[at] = step * max(rate_of(A[p.A_at + row * p.A_step + h]), p.least);
  y[at + p.H] = sigmoid(trap[p.trap_at + row * p.trap_step + h]) * step + late;
  y[at + 2u * p.H] = late;`,
}

/** y [T, H P] = factor `column` of the head, times x where there is one. */
const spreadKernel = (x: boolean): Kernel => ({
  name: `trapezoid gradient spread ${x}`,
  reads: ['factors', ...(x ? ['x'] : [])],
  writes: ['y'],
  counts: ['T', 'H', 'P', 'column'],
  threads: 64,
  body: `
  let i = block * 64u + lane;
  if (i >= p.T * p.H * p.P) { return; }
  let row = i / (p.H * p.P);
  let c = i % (p.H * p.P);
  y[i] = factors[row * 3u * p.H + p.column * p.H + c / p.P]${x ? ' * x[p.x_at + row * p.x_step + c]' : ''};`,
})

/** A thread for each head of a row, [T, 5 H]: gradients of minus log a, of w dt + late, of late by itself; dy v; and q k. */
const headsKernel: Kernel = {
  name: 'trapezoid gradient heads',
  reads: ['d', 'v', 'q', 'k', 'ofSteps', 'ofInputs'],
  writes: ['y'],
  counts: ['T', 'H', 'P', 'N'],
  threads: 64,
  body: `
  let i = block * 64u + lane;
  if (i >= p.T * p.H) { return; }
  let row = i / p.H;
  let h = i % p.H;
  var of_step = 0.0;
  var of_input = 0.0;
  var through = 0.0;
  for (var c = 0u; c < p.P; c++) {
    let one = v[p.v_at + row * p.v_step + h * p.P + c];
    of_step += ofSteps[i * p.P + c];
    of_input += ofInputs[i * p.P + c] * one;
    through += d[p.d_at + row * p.d_step + h * p.P + c] * one;
  }
  var both = 0.0;
  for (var n = 0u; n < p.N; n++) { both += q[p.q_at + row * p.q_step + h * p.N + n] * k[p.k_at + row * p.k_step + h * p.N + n]; }
  let at = row * 5u * p.H + h;
  y[at] = of_step;
  y[at + p.H] = of_input;
  y[at + 2u * p.H] = -both * through;
  y[at + 3u * p.H] = through;
  y[at + 4u * p.H] = both;`,
}

/** dv [T, H P] */
const valuesKernel: Kernel = {
  name: 'trapezoid gradient values',
  reads: ['d', 'factors', 'heads', 'ofInputs', 'D'],
  writes: ['y'],
  counts: ['T', 'H', 'P'],
  threads: 64,
  body: `
  let i = block * 64u + lane;
  if (i >= p.T * p.H * p.P) { return; }
  let row = i / (p.H * p.P);
  let c = i % (p.H * p.P);
  let h = c / p.P;
  let factor = row * 3u * p.H + h;
  let direct = D[p.D_at + h] - factors[factor + 2u * p.H] * heads[row * 5u * p.H + 4u * p.H + h];
  y[p.y_at + row * p.y_step + c] += factors[factor + p.H] * ofInputs[i] + direct * d[p.d_at + row * p.d_step + c];`,
}

/** dq from k, or dk from q, [T, H N]: what `late q k` gives. */
const keysKernel: Kernel = {
  name: 'trapezoid gradient keys',
  reads: ['factors', 'heads', 'x'],
  writes: ['y'],
  counts: ['T', 'H', 'N'],
  threads: 64,
  body: `
  let i = block * 64u + lane;
  if (i >= p.T * p.H * p.N) { return; }
  let row = i / (p.H * p.N);
  let c = i % (p.H * p.N);
  let h = c / p.N;
  let factor = factors[row * 3u * p.H + 2u * p.H + h] * heads[row * 5u * p.H + 3u * p.H + h];
  y[p.y_at + row * p.y_step + c] -= factor * x[p.x_at + row * p.x_step + c];`,
}

/** [T, 3 H]: gradients of dt, A and trap. */
const inputsKernel: Kernel = {
  name: 'trapezoid gradient inputs',
  reads: ['dt', 'A', 'trap', 'bias', 'heads'],
  writes: ['y'],
  tables: ['parts'],
  counts: ['T', 'H', 'count'],
  reals: ['least'],
  threads: 64,
  library: rate + findPart(4),
  body: `
  let i = block * 64u + lane;
  if (i >= p.T * p.H) { return; }
  let row = i / p.H;
  let h = i % p.H;
  let raw = dt[p.dt_at + row * p.dt_step + h] + bias[p.bias_at + h];
  let gate = trap[p.trap_at + row * p.trap_step + h];
  let angle = A[p.A_at + row * p.A_step + h];
  let step = softplus(raw);
  let share = sigmoid(gate);
  let at = row * 5u * p.H + h;
  let of_decay = heads[at];
  let of_input = heads[at + p.H];
  var of_late = 0.0;
  if (i32(row) > parts[find_part(i32(row), p.count)]) { of_late = heads[at - 4u * p.H] + heads[at - 3u * p.H]; }
  let slope = select(rate_of(angle) * rate_of(angle), 1.0, angle >= 0.0);
  let to = row * 3u * p.H + h;
  y[to] = (of_decay * max(rate_of(angle), p.least) + of_input * share + of_late * sigmoid(-gate)) * softplus_slope(raw);
  y[to + p.H] = select(of_decay * step * slope, 0.0, rate_of(angle) < p.least);
  y[to + 2u * p.H] = (of_input - of_late) * step * share * sigmoid(-gate);`,
}

export function trapezoidGradient(machine: Machine, dy: Tensor, args: TrapezoidArgs, into: TrapezoidGradients): void {
  const { T, H, P, N } = trapezoidShape(args)
  const E = H * P
  const { segments } = args
  const { parts, table } = partsOf(segments, 'forward', T)
  const [v, k, q] = [gpu(args.v, T, E), gpu(args.k, T, H * N), gpu(args.q, T, H * N)]
  const [dt, A, trap] = [args.dt, args.A, args.trap].map((x) => gpu(x, T, H))
  const [D, bias, d] = [gpu(args.D, 1, H), gpu(args.dtBias, 1, H), gpu(dy, T, E)]
  const held: GpuTensor[] = []
  const room = (rows: number, cols: number, clear = false) => {
    const x = machine.allocate(rows, cols)
    if (clear) machine.clear(x)
    held.push(x)
    return x
  }
  const run = (kernel: Kernel, tensors: Record<string, GpuTensor>, threads: number, column = 0) =>
    machine.run(kernel, {
      tensors,
      tables: { parts: table },
      numbers: { T, H, P, N, count: parts.length, least: args.leastRate, column },
      blocks: Math.ceil(threads / 64),
    })

  const [factors, steps, inputs] = [room(T, 3 * H), room(T, E), room(T, E)]
  run(factorsKernel, { dt, A, trap, bias, y: factors }, T * H)
  run(spreadKernel(false), { factors, y: steps }, T * E, 0)
  run(spreadKernel(true), { factors, x: v, y: inputs }, T * E, 1)
  const [ofSteps, ofInputs] = [room(T, E, true), room(T, E, true)]
  const scan = {
    ...{ u: inputs, dt: steps, A_log: room(E, N, true), B: k, C: q, D: null, z: null, dtBias: null },
    ...{ softplus: false, segments, direction: 'forward' as const },
  }
  const gradients = { du: ofInputs, ddt: ofSteps, dB: into.dk, dC: into.dq }
  scanGradient(machine, d, scan, { ...gradients, dA_log: null, dD: null, dz: null, ddtBias: null }, {}, true)

  const heads = room(T, 5 * H)
  run(headsKernel, { d, v, q, k, ofSteps, ofInputs, y: heads }, T * H)
  const [dv, dk, dq] = [optional(into.dv, T, E), optional(into.dk, T, H * N), optional(into.dq, T, H * N)]
  if (dv) run(valuesKernel, { d, factors, heads, ofInputs, D, y: dv }, T * E)
  if (dk) run(keysKernel, { factors, heads, x: q, y: dk }, T * H * N)
  if (dq) run(keysKernel, { factors, heads, x: k, y: dq }, T * H * N)
  const ofRows = room(T, 3 * H)
  run(inputsKernel, { dt, A, trap, bias, heads, y: ofRows }, T * H)
  const column = (x: GpuTensor, i: number) => columnsOf(x, i * H, (i + 1) * H)
  put(machine, into.ddt, '+=', 'x_one', { x: column(ofRows, 0) })
  put(machine, into.dA, '+=', 'x_one', { x: column(ofRows, 1) })
  put(machine, into.dtrap, '+=', 'x_one', { x: column(ofRows, 2) })
  foldRows(machine, column(ofRows, 0), optional(into.ddtBias, 1, H))
  foldRows(machine, column(heads, 3), optional(into.dD, 1, H))
  for (const x of held) machine.release(x)
}
