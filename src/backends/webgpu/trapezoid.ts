import type { TrapezoidArgs, TrapezoidState } from '../backend.js'
import { trapezoidShape } from '../trapezoid.js'
import { keepKernel } from './conv.js'
import type { Kernel } from './kernel.js'
import type { Machine } from './machine.js'
import { sigmoid, softplus } from './math.js'
import { findPart, partsOf } from './parts.js'
import type { ScanForm } from './scan.js'
import { phases } from './ssd.js'
import { columnsOf, GpuTensor, gpu, stateOf } from './tensor.js'

/** [T, 3 H]: what a row itself gives, log2 of the decay, and what the row before gives. */
const factorsKernel: Kernel = {
  name: 'trapezoid factors',
  reads: ['dt', 'A', 'trap', 'bias'],
  writes: ['y'],
  counts: ['T', 'H'],
  reals: ['least'],
  threads: 64,
  library: sigmoid + softplus,
  body: `
  let i = block * 64u + lane;
  if (i >= p.T * p.H) { return; }
  let row = i / p.H;
  let head = i % p.H;
  let step = softplus(dt[p.dt_at + row * p.dt_step + head] + bias[p.bias_at + head]);
  let a = A[p.A_at + row * p.A_step + head];
  let rate = max(select(1.0 / (1.0 - min(a, 0.0)), 1.0 + a, a >= 0.0), p.least);
  let share = sigmoid(trap[p.trap_at + row * p.trap_step + head]);
  let log_decay = -1.4426950408889634 * rate * step;
  let out = p.y_at + row * p.y_step + head;
  y[out] = share * step;
  y[out + p.H] = log_decay;
  y[out + 2u * p.H] = (1.0 - share) * step * exp2(log_decay);`,
}

/** The row before each: that of the part, or the one that was carried into it, or zeros. */
const beforeKernel = (carried: boolean): Kernel => ({
  name: `row before ${carried}`,
  reads: ['x', ...(carried ? ['last'] : [])],
  writes: ['y'],
  tables: ['parts'],
  counts: ['T', 'cols', 'count'],
  threads: 64,
  library: findPart(4),
  body: `
  let i = block * 64u + lane;
  if (i >= p.T * p.cols) { return; }
  let row = i / p.cols;
  let e = i % p.cols;
  let part = find_part(i32(row), p.count);
  var value = 0.0;
  if (i32(row) > parts[part]) { value = x[p.x_at + (row - 1u) * p.x_step + e]; }
  ${carried ? 'else if (parts[part + 3u] == 1) { value = last[p.last_at + u32(parts[part + 2u]) * p.last_step + e]; }' : ''}
  y[p.y_at + row * p.y_step + e] = value;`,
})

/** As SSD with a group for each head, whose rows take what the row before gives as well. */
export function trapezoid(
  machine: Machine,
  args: TrapezoidArgs,
  states: TrapezoidState | null,
  form: ScanForm,
): GpuTensor {
  const { T, H, P, N } = trapezoidShape(args)
  const [v, k, q] = [gpu(args.v, T, H * P), gpu(args.k, T, H * N), gpu(args.q, T, H * N)]
  const { parts, table } = partsOf(args.segments, 'forward', T)
  const [lastV, lastK] = [stateOf(states?.v ?? null, H, P, parts), stateOf(states?.k ?? null, H, N, parts)].map(
    (last) => last && new GpuTensor(last.block, last.at, last.rows / H, H * last.cols, H * last.cols, false),
  )
  const shifted = (x: GpuTensor, last: GpuTensor | null, y: GpuTensor) =>
    machine.run(beforeKernel(!!last), {
      tensors: { x, y, ...(last && { last }) },
      tables: { parts: table },
      numbers: { T, cols: x.cols, count: parts.length },
      blocks: Math.ceil((T * x.cols) / 64),
    })
  const [steps, before, BC] = [machine.allocate(T, 3 * H), machine.allocate(T, H * P), machine.allocate(T, 3 * H * N)]
  machine.run(factorsKernel, {
    tensors: {
      ...{ dt: gpu(args.dt, T, H), A: gpu(args.A, T, H), trap: gpu(args.trap, T, H) },
      ...{ bias: gpu(args.dtBias, 1, H), y: steps },
    },
    numbers: { T, H, least: args.leastRate },
    blocks: Math.ceil((T * H) / 64),
  })
  const [B, C, past] = [0, 1, 2].map((i) => columnsOf(BC, i * H * N, (i + 1) * H * N))
  machine.copy(k, B)
  machine.copy(q, C)
  shifted(v, lastV, before)
  shifted(k, lastK, past)
  for (const [x, state] of [
    [v, lastV],
    [k, lastK],
  ] as const) {
    if (!state) continue
    const across = Math.ceil(x.cols / 64)
    machine.run(keepKernel('forward'), {
      tensors: { x, state },
      tables: { parts: table },
      numbers: { E: x.cols, K: 1, across },
      blocks: across * parts.length,
    })
  }
  const y = phases(machine, {
    shape: { T, H, P, G: H, N },
    operands: { x: v, steps, BC, D: gpu(args.D, 1, H), before },
    places: {
      ...{ B_at: B.at, B_step: B.step, C_at: C.at, C_step: C.step },
      ...{ past_at: past.at, past_step: past.step },
    },
    read: { segments: args.segments, direction: 'forward' },
    states: states?.ssm ?? null,
    form,
  })
  for (const x of [steps, before, BC]) machine.release(x)
  return y
}
