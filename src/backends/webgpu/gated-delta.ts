import type { GatedDeltaArgs, Tensor } from '../backend.js'
import { gatedDeltaShape } from '../gated-delta.js'
import type { Kernel } from './kernel.js'
import type { Machine } from './machine.js'
import { sigmoid, softplus } from './math.js'
import { partsOf } from './parts.js'
import { each } from './scan-kernels.js'
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

/** Threads that share a column of the values: as many, up to eight, as leave each no more than 16 states, which fit into its registers. */
const sharersOf = (K: number) => [1, 2, 4].find((threads) => K <= 16 * threads) ?? 8

/**
 * Threads for each column of the values of a part, with its states. What a row reads of a state is summed before the row is written to it, q s and
 * q k with k s, so that sharers tell each other three numbers, once for each row. `parts`: those of `partsOf`.
 */
const gatedDeltaKernel = (K: number, backwards: boolean, state: boolean): Kernel => {
  const sharers = sharersOf(K)
  const width = Math.ceil(K / sharers)
  const columns = 64 / sharers
  /** State `n` of a thread is state `i` of the column; of the last ones some threads have none. */
  const eachState = (code: (n: string, i: string) => string) =>
    each(width, (n) => code(n, `(${n} * ${sharers}u + share)`))
  const there = (value: string, i: string) => (K % sharers === 0 ? value : `select(0.0, ${value}, ${i} < ${K}u)`)
  const guarded = (i: string, code: string) => (K % sharers === 0 ? code : `if (${i} < ${K}u) { ${code} }`)
  return {
    name: `gated delta ${K} ${backwards} ${state}`,
    reads: ['q', 'k', 'v', 'factors'],
    writes: ['y', ...(state ? ['state'] : [])],
    tables: ['parts'],
    counts: ['H', 'V', 'group', 'across'],
    threads: 64,
    library: sharers > 1 ? 'var<workgroup> told: array<vec3f, 128>;' : '',
    body: `
  let part = block / p.across * 4u;
  let share = lane % ${sharers}u;
  let column = block % p.across * ${columns}u + lane / ${sharers}u;
  let e = min(column, p.H * p.V - 1u);
  let first = parts[part];
  let rows = parts[part + 1u];
  let head = e / p.V;
  let key_at = head / p.group * ${K}u;
  var s: array<f32, ${width}>;
  var key: array<f32, ${width}>;
  ${
    state
      ? `
  let kept = p.state_at + (u32(max(0, parts[part + 2u])) * p.H + head) * ${K}u * p.V + e % p.V;
  if (parts[part + 3u] == 1) {
    ${eachState((n, i) => guarded(i, `s[${n}] = state[kept + ${i} * p.V];`))}
  }`
      : ''
  }
  for (var t = 0; t < rows; t++) {
    let row = u32(${backwards ? 'first + rows - 1 - t' : 'first + t'});
    let at = p.factors_at + row * p.factors_step + head;
    let decay = factors[at];
    let k_row = p.k_at + row * p.k_step + key_at;
    let q_row = p.q_at + row * p.q_step + key_at;
    var sums = vec3f(0.0);
    ${eachState(
      (n, i) => `{
      let query = ${there(`q[q_row + ${i}]`, i)};
      key[${n}] = ${there(`k[k_row + ${i}]`, i)};
      s[${n}] *= decay;
      sums += vec3f(key[${n}] * s[${n}], query * s[${n}], query * key[${n}]);
    }`,
    )}
    ${
      sharers > 1
        ? `
    // What was told of one row may still be read while the next is told.
    let board = u32(t & 1) * 64u;
    told[board + lane] = sums;
    workgroupBarrier();
    sums = vec3f(0.0);
    for (var i = 0u; i < ${sharers}u; i++) { sums += told[board + lane - share + i]; }`
        : ''
    }
    let written = factors[at + p.H] * (v[p.v_at + row * p.v_step + e] - sums.x);
    ${eachState((n) => `s[${n}] += key[${n}] * written;`)}
    if (share == 0u && column == e) { y[p.y_at + row * p.y_step + e] = sums.y + sums.z * written; }
  }
  ${
    state
      ? `if (parts[part + 2u] >= 0 && column == e) {
    ${eachState((n, i) => guarded(i, `state[kept + ${i} * p.V] = s[${n}];`))}
  }`
      : ''
  }`,
  }
}

export function gatedDelta(machine: Machine, args: GatedDeltaArgs, states: Tensor | null): Tensor {
  const { T, H, G, K, V } = gatedDeltaShape(args)
  const { parts, table } = partsOf(args.segments, args.direction, T)
  const state = stateOf(states, H * K, V, parts)
  const y = machine.allocate(T, H * V)
  const factors = factorsOf(machine, args, T, H)
  const across = Math.ceil((H * V * sharersOf(K)) / 64)
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
    numbers: { H, V, group: H / G, across },
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
