import type { GatedDeltaArgs, Tensor } from '../backend.js'
import { gatedDeltaShape } from '../gated-delta.js'
import type { Kernel } from './kernel.js'
import type { Machine } from './machine.js'
import { sigmoid, softplus } from './math.js'
import { partsOf } from './parts.js'
import { type GpuTensor, gpu, stateOf } from './tensor.js'

/** [T, 2 H]: the decay of each head, and its beta. */
const factorsKernel: Kernel = {
  name: 'gated delta factors',
  reads: ['dt', 'beta', 'A_log', 'bias'],
  writes: ['y'],
  counts: ['T', 'H'],
  threads: 64,
  library: sigmoid + softplus,
  body: `
  let i = block * 64u + lane;
  if (i >= p.T * p.H) { return; }
  let row = i / p.H;
  let head = i % p.H;
  let step = softplus(dt[p.dt_at + row * p.dt_step + head] + bias[p.bias_at + head]);
  let out = p.y_at + row * p.y_step + head;
  y[out] = exp(max(-80.0, -step * exp(A_log[p.A_log_at + head])));
  y[out + p.H] = sigmoid(beta[p.beta_at + row * p.beta_step + head]);`,
}

/** A thread for each column of the values of a part, with its states. `parts`: those of `partsOf`. */
const gatedDeltaKernel = (K: number, backwards: boolean, state: boolean): Kernel => ({
  name: `gated delta ${K} ${backwards} ${state}`,
  reads: ['q', 'k', 'v', 'factors'],
  writes: ['y', ...(state ? ['state'] : [])],
  tables: ['parts'],
  counts: ['H', 'V', 'share', 'across'],
  threads: 64,
  body: `
  let part = block / p.across * 4u;
  let e = block % p.across * 64u + lane;
  if (e >= p.H * p.V) { return; }
  let first = parts[part];
  let rows = parts[part + 1u];
  let head = e / p.V;
  let key = head / p.share * ${K}u;
  var s: array<f32, ${K}>;
  ${
    state
      ? `
  let kept = p.state_at + (u32(max(0, parts[part + 2u])) * p.H + head) * ${K}u * p.V + e % p.V;
  if (parts[part + 3u] == 1) { for (var i = 0u; i < ${K}u; i++) { s[i] = state[kept + i * p.V]; } }`
      : ''
  }
  for (var t = 0; t < rows; t++) {
    let row = u32(${backwards ? 'first + rows - 1 - t' : 'first + t'});
    let at = p.factors_at + row * p.factors_step + head;
    let decay = factors[at];
    let k_row = p.k_at + row * p.k_step + key;
    let q_row = p.q_at + row * p.q_step + key;
    var known = 0.0;
    for (var i = 0u; i < ${K}u; i++) { s[i] *= decay; known += k[k_row + i] * s[i]; }
    let written = factors[at + p.H] * (v[p.v_at + row * p.v_step + e] - known);
    var sum = 0.0;
    for (var i = 0u; i < ${K}u; i++) { s[i] += k[k_row + i] * written; sum += q[q_row + i] * s[i]; }
    y[p.y_at + row * p.y_step + e] = sum;
  }
  ${state ? `if (parts[part + 2u] >= 0) { for (var i = 0u; i < ${K}u; i++) { state[kept + i * p.V] = s[i]; } }` : ''}`,
})

export function gatedDelta(machine: Machine, args: GatedDeltaArgs, states: Tensor | null): Tensor {
  const { T, H, G, K, V } = gatedDeltaShape(args)
  const { parts, table } = partsOf(args.segments, args.direction, T)
  const state = stateOf(states, H * K, V, parts)
  const y = machine.allocate(T, H * V)
  const factors = factorsOf(machine, args, T, H)
  const across = Math.ceil((H * V) / 64)
  machine.run(gatedDeltaKernel(K, args.direction === 'reverse', !!state), {
    tensors: {
      q: gpu(args.q, T, G * K),
      k: gpu(args.k, T, G * K),
      v: gpu(args.v, T, H * V),
      factors,
      y,
      ...(state && { state }),
    },
    tables: { parts: table },
    numbers: { H, V, share: H / G, across },
    blocks: across * parts.length,
  })
  machine.release(factors)
  return y
}

export function factorsOf(
  machine: Machine,
  { dt, beta, A_log, dtBias }: GatedDeltaArgs,
  T: number,
  H: number,
): GpuTensor {
  const y = machine.allocate(T, 2 * H)
  machine.run(factorsKernel, {
    tensors: { dt: gpu(dt, T, H), beta: gpu(beta, T, H), A_log: gpu(A_log, 1, H), bias: gpu(dtBias, 1, H), y },
    numbers: { T, H },
    blocks: Math.ceil((T * H) / 64),
  })
  return y
}
