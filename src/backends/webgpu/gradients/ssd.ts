import type { SsdArgs, SsdEnds, SsdGradients, Tensor } from '../../backend.js'
import { ssdShape } from '../../ssd.js'
import type { Kernel } from '../kernel.js'
import type { Machine } from '../machine.js'
import { softplus } from '../math.js'
import { mostStep } from '../ssd.js'
import { type GpuTensor, gpu, optional, reshaped } from '../tensor.js'
import { put, slopes } from './elementwise.js'
import { foldRows } from './fold.js'
import { scanGradient } from './scan.js'

/** The step of each channel, [T, H P]. */
const stepsKernel: Kernel = {
  name: 'ssd gradient steps',
  reads: ['dt', 'bias'],
  writes: ['y'],
  counts: ['T', 'H', 'P'],
  reals: ['least', 'most'],
  threads: 64,
  library: softplus,
  body: `
  let i = block * 64u + lane;
  if (i >= p.T * p.H * p.P) { return; }
  let row = i / (p.H * p.P);
  let head = i / p.P % p.H;
  y[i] = clamp(softplus(dt[p.dt_at + row * p.dt_step + head] + bias[p.bias_at + head]), p.least, p.most);`,
}

/** What the gradients of the steps of its channels say of dt of a head, [T, H]. */
const dtKernel: Kernel = {
  name: 'ssd gradient dt',
  reads: ['d', 'dt', 'bias'],
  writes: ['y'],
  counts: ['T', 'H', 'P'],
  reals: ['least', 'most'],
  threads: 64,
  library: softplus + slopes,
  body: `
  let i = block * 64u + lane;
  if (i >= p.T * p.H) { return; }
  let raw = dt[p.dt_at + i / p.H * p.dt_step + i % p.H] + bias[p.bias_at + i % p.H];
  let step = softplus(raw);
  var sum = 0.0;
  for (var c = 0u; c < p.P; c++) { sum += d[i * p.P + c]; }
  y[i] = select(0.0, sum * softplus_slope(raw), step >= p.least && step <= p.most);`,
}

/** y [H, width] = x [1, H], as often as it is wide. */
const repeatKernel: Kernel = {
  name: 'ssd gradient repeat',
  reads: ['x'],
  writes: ['y'],
  counts: ['H', 'width'],
  threads: 64,
  body: `
  let i = block * 64u + lane;
  if (i >= p.H * p.width) { return; }
  y[i] = x[p.x_at + i / p.width];`,
}

/** y [1, H] += the sums of x [H, width]. */
const sumKernel: Kernel = {
  name: 'ssd gradient sum',
  reads: ['x'],
  writes: ['y'],
  counts: ['H', 'width'],
  threads: 64,
  body: `
  let i = block * 64u + lane;
  if (i >= p.H) { return; }
  var sum = 0.0;
  for (var c = 0u; c < p.width; c++) { sum += x[i * p.width + c]; }
  y[p.y_at + i] += sum;`,
}

/** As a selective scan whose channels of a head have the same steps, rates and D. */
export function ssdGradient(machine: Machine, dy: Tensor, args: SsdArgs, into: SsdGradients, ends: SsdEnds = {}) {
  const { T, H, P, N } = ssdShape(args)
  const E = H * P
  const [dt, bias] = [gpu(args.dt, T, H), gpu(args.dtBias, 1, H)]
  const limits = { T, H, P, least: args.dtLimit[0], most: Math.min(args.dtLimit[1], mostStep) }
  const held: GpuTensor[] = []
  const room = (rows: number, cols: number, clear = false) => {
    const x = machine.allocate(rows, cols)
    if (clear) machine.clear(x)
    held.push(x)
    return x
  }
  const repeated = (x: GpuTensor, width: number) => {
    const y = room(H, width)
    machine.run(repeatKernel, { tensors: { x, y }, numbers: { H, width }, blocks: Math.ceil((H * width) / 64) })
    return y
  }
  const sum = (x: GpuTensor | null, width: number, y: GpuTensor | null) => {
    if (x && y) machine.run(sumKernel, { tensors: { x, y }, numbers: { H, width }, blocks: Math.ceil(H / 64) })
  }

  const steps = room(T, E)
  machine.run(stepsKernel, { tensors: { dt, bias, y: steps }, numbers: limits, blocks: Math.ceil((T * E) / 64) })
  const scan = {
    u: args.x,
    dt: steps,
    A_log: reshaped(repeated(gpu(args.A_log, 1, H), P * N), E, N),
    B: args.B,
    C: args.C,
    D: reshaped(repeated(gpu(args.D, 1, H), P), 1, E),
    z: null,
    dtBias: null,
    softplus: false,
    segments: args.segments,
    direction: args.direction,
  }
  const dSteps = into.ddt || into.ddtBias ? room(T, E, true) : null
  const dA_log = into.dA_log && room(E, N, true)
  const dD = into.dD && room(1, E, true)
  const gradients = { du: into.dx, ddt: dSteps, dA_log, dB: into.dB, dC: into.dC, dD, dz: null, ddtBias: null }
  scanGradient(machine, dy, scan, gradients, ends)
  sum(dA_log, P * N, optional(into.dA_log, 1, H))
  sum(dD, P, optional(into.dD, 1, H))
  if (dSteps) {
    const rows = room(T, H)
    const tensors = { d: dSteps, dt, bias, y: rows }
    machine.run(dtKernel, { tensors, numbers: limits, blocks: Math.ceil((T * H) / 64) })
    put(machine, into.ddt, '+=', 'rows_one', { rows })
    foldRows(machine, rows, optional(into.ddtBias, 1, H))
  }
  for (const x of held) machine.release(x)
}
