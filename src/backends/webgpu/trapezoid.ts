import type { TrapezoidArgs, TrapezoidState } from '../backend.js'
import { trapezoidShape } from '../trapezoid.js'
import { keepKernel } from './conv.js'
import type { Kernel } from './kernel.js'
import type { Machine } from './machine.js'
import { sigmoid, softplus } from './math.js'
import { findPart, partsOf } from './parts.js'
import { rangesOf } from './ranges.js'
import type { ScanForm } from './scan.js'
import { phases } from './ssd.js'
import { columnsOf, type GpuTensor, gpu, reshaped, stateOf } from './tensor.js'

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

/**
 * As SSD with a group for each head, whose rows take what the row before gives as well; as many heads at a time as there is room for what is
 * copied of their rows.
 */
export function trapezoid(
  machine: Machine,
  args: TrapezoidArgs,
  states: TrapezoidState | null,
  form: ScanForm,
): GpuTensor {
  const { T, H, P, N } = trapezoidShape(args)
  const [v, k, q] = [gpu(args.v, T, H * P), gpu(args.k, T, H * N), gpu(args.q, T, H * N)]
  const [dt, A, trap] = [args.dt, args.A, args.trap].map((x) => gpu(x, T, H))
  const [D, bias] = [args.D, args.dtBias].map((x) => gpu(x, 1, H))
  const { parts, table } = partsOf(args.segments, 'forward', T)
  /** A row for each slot. */
  const [ssm, lastV, lastK] = [
    stateOf(states?.ssm ?? null, H * P, N, parts),
    stateOf(states?.v ?? null, H, P, parts),
    stateOf(states?.k ?? null, H, N, parts),
  ].map((x, i) => x && reshaped(x, x.rows / (i === 0 ? H * P : H), (i === 0 ? H * P : H) * x.cols))
  const y = machine.allocate(T, H * P)
  const ranges = rangesOf(H, H, machine.roomBytes / 4 / T / Math.max(3 * N, P))
  for (const [from, to] of ranges) {
    const of = (x: GpuTensor) => columnsOf(x, (from * x.cols) / H, (to * x.cols) / H)
    // Of some heads alone the states do not lie together.
    const state = ssm && (ranges.length > 1 ? machine.copied(of(ssm)) : ssm)
    ofHeads(machine, {
      ...{ v: of(v), k: of(k), q: of(q), dt: of(dt), A: of(A), trap: of(trap), D: of(D), bias: of(bias) },
      ...{ state, lastV: lastV && of(lastV), lastK: lastK && of(lastK), y: of(y) },
      ...{ N, parts: table, args, form },
    })
    if (!ssm || !state || state === ssm) continue
    machine.copy(state, of(ssm))
    machine.release(state)
  }
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
  return y
}

interface Heads extends Record<'v' | 'k' | 'q' | 'dt' | 'A' | 'trap' | 'D' | 'bias' | 'y', GpuTensor> {
  /** A row for each slot: the state, and v and k of the row that was carried in. */
  state: GpuTensor | null
  lastV: GpuTensor | null
  lastK: GpuTensor | null
  N: number
  /** As of `partsOf`. */
  parts: Int32Array
  args: Pick<TrapezoidArgs, 'segments' | 'leastRate'>
  form: ScanForm
}

function ofHeads(
  machine: Machine,
  { v, k, q, dt, A, trap, D, bias, y, state, lastV, lastK, N, parts, args, form }: Heads,
): void {
  const [T, H] = [dt.rows, dt.cols]
  const P = v.cols / H
  const shifted = (x: GpuTensor, last: GpuTensor | null, y: GpuTensor) =>
    machine.run(beforeKernel(!!last), {
      tensors: { x, y, ...(last && { last }) },
      tables: { parts },
      numbers: { T, cols: x.cols, count: parts.length / 4 },
      blocks: Math.ceil((T * x.cols) / 64),
    })
  const [steps, before, BC] = [machine.allocate(T, 3 * H), machine.allocate(T, H * P), machine.allocate(T, 3 * H * N)]
  machine.run(factorsKernel, {
    tensors: { dt, A, trap, bias, y: steps },
    numbers: { T, H, least: args.leastRate },
    blocks: Math.ceil((T * H) / 64),
  })
  const [B, C, past] = [0, 1, 2].map((i) => columnsOf(BC, i * H * N, (i + 1) * H * N))
  machine.copy(k, B)
  machine.copy(q, C)
  shifted(v, lastV, before)
  shifted(k, lastK, past)
  phases(machine, {
    shape: { T, H, P, G: H, N },
    operands: { x: v, steps, BC, D, before },
    places: {
      ...{ B_at: B.at, B_step: B.step, C_at: C.at, C_step: C.step },
      ...{ past_at: past.at, past_step: past.step },
    },
    read: { segments: args.segments, direction: 'forward' },
    states: state && reshaped(state, state.rows * H * P, N),
    form,
    y,
  })
  for (const x of [steps, before, BC]) machine.release(x)
}
