import type { NormSpec } from '../spec.js'
import type { Discretisation } from './discretise.js'
import type { Direction, Segments } from './segments.js'
import type { Weight } from './weight.js'

/**
 * The contract of a backend: fused operations on opaque tensors, each one stage of a block.
 *
 * Tensors are row-major with tokens first, `[rows, cols]`. A tensor may be a view on some columns of another
 * (`columns`), so activations may be strided; weights and states are contiguous. Operations allocate what they return, and the caller
 * releases it. Operations that look across rows take `Segments`. A state tensor holds one block of rows for each slot, one under the
 * other: `slots` times the rows that are named below.
 *
 * Same bytes: on `reference` and `cpu` a row of the result depends on nothing but its own segment, whatever the
 * cut, the packing or the number of rows in the call.
 */
export interface Tensor {
  readonly rows: number
  readonly cols: number
}

/** A norm of all columns, or of equal groups of them, each by itself. */
export interface GroupNorm extends NormSpec {
  groups?: number
}

/** GELU with the error function: x Phi(x). SELU (arXiv 1706.02515): scale x, below 0 scale alpha (e^x - 1). */
export type Activation = 'none' | 'silu' | 'gelu' | 'selu'
/** a + b, a b, a silu(b), a sigmoid(b) (GLU, arXiv 1612.08083). */
export type Combination = 'add' | 'multiply' | 'gate' | 'glu'
export type Pooling = 'mean' | 'max' | 'last'
export type FloatArray = Float32Array | Float64Array

/**
 * `state` arguments are read and written in place. A segment with a slot starts from the state there if its sequence does not begin
 * (in a reverse pass: end) with it, otherwise from zero, and leaves there what the next one starts from. A segment without a slot, or a
 * null state, starts from zero and keeps nothing.
 */
export interface ConvArgs {
  segments: Segments
  direction: Direction
  activation: 'none' | 'silu'
  /** [slots K, E]: the last K raw inputs in reading order, the newest in row K - 1, zero where there were none. */
  state: Tensor | null
}

/** Mamba-1 selective scan: h = exp(dt A) h + dt B u, y = C h + D u, then y *= silu(z). */
export interface ScanArgs {
  /** [T, E] */
  u: Tensor
  /** [T, E], before bias and softplus. */
  dt: Tensor
  /** [E, N]; A = -exp(A_log). */
  A_log: Tensor
  /** [T, G N]: channel e uses group floor(e G / E). */
  B: Tensor
  /** [T, G N] */
  C: Tensor
  /** [1, E] */
  D: Tensor | null
  /** [T, E] */
  z: Tensor | null
  /** [1, E] */
  dtBias: Tensor | null
  /** dt = softplus(dt + dtBias), identity above 20; without it dt = dt + dtBias. */
  softplus: boolean
  segments: Segments
  direction: Direction
  /** Filled by a forward scan for its gradient: see `Gradients.keptStates`. */
  kept?: Tensor | null
}

/** S4D (arXiv 2206.11893), M complex modes a channel: x = w x + u, y = 2 Re(sum C held x) + D u, with w and held of `discretise` (discretise.ts). */
export interface S4dArgs {
  /** [T, H] */
  u: Tensor
  /** [1, H] */
  log_dt: Tensor
  /** [H, M]; A = -exp(log_A_real) + i A_imag. */
  log_A_real: Tensor
  A_imag: Tensor
  /** [H, 2 M]: real and imaginary part in turn. */
  C: Tensor
  /** [1, H] */
  D: Tensor
  discretisation: Discretisation
  segments: Segments
  direction: Direction
}

/**
 * The recurrence of S5 (arXiv 2208.04933), P complex modes that all channels share: x = w x + held u with w and held of `discretise`
 * (discretise.ts), by zero-order hold.
 */
export interface S5Args {
  /** [T, 2 P]: real and imaginary part of each mode in turn. */
  u: Tensor
  /** [P, 2] */
  Lambda: Tensor
  /** [1, P] */
  log_step: Tensor
  segments: Segments
  direction: Direction
}

/**
 * Mamba-2 (SSD, arXiv 2405.21060): h = exp(dt A) h + dt B x, y = C h + D x, with H heads of P channels each. A head has one step, one A and
 * one D, and G heads in turn share B and C.
 */
export interface SsdArgs {
  /** [T, H P]: the channels of a head side by side. */
  x: Tensor
  /** [T, H], before bias and softplus (identity above 20). */
  dt: Tensor
  /** [1, H]; A = -exp(A_log). */
  A_log: Tensor
  /** [T, G N]: head h uses group floor(h G / H). */
  B: Tensor
  /** [T, G N] */
  C: Tensor
  /** G */
  groups: number
  /** [1, H] */
  D: Tensor
  /** [1, H] */
  dtBias: Tensor
  /** Steps are at least and at most these, after the softplus; the second may be infinite. */
  dtLimit: readonly [number, number]
  segments: Segments
  direction: Direction
}

/** What the heads of Mamba-3 (arXiv 2603.15569) turn by: angles that add up along the rows, each row pi tanh(angle) times the step of the head. */
export interface TurnsArgs {
  /** [T, A S], before tanh: head h uses group floor(h A / H). */
  angles: Tensor
  /** S */
  pairs: number
  /** [T, H], before bias and softplus (identity above 20). */
  dt: Tensor
  /** [1, H] */
  dtBias: Tensor
  segments: Segments
}

/**
 * The recurrence of Mamba-3 (arXiv 2603.15569), H heads of P channels each: S = a S + (1 - w) dt a v' k'^T + w dt v k^T, y = S q + D v, where v'
 * and k' are those of the row before, a = exp(-rate dt), w = sigmoid(trap), and rate = h(A), but at least `leastRate`, with h(x) = 1 + x from 0
 * on and 1 / (1 - x) below: the variant of state-spaces/mamba.
 */
export interface TrapezoidArgs {
  /** [T, H P]: the channels of a head side by side. */
  v: Tensor
  /** [T, H N] */
  k: Tensor
  /** [T, H N] */
  q: Tensor
  /** [T, H], before bias and softplus (identity above 20). */
  dt: Tensor
  /** [T, H] */
  A: Tensor
  /** [T, H] */
  trap: Tensor
  /** [1, H] */
  D: Tensor
  /** [1, H] */
  dtBias: Tensor
  leastRate: number
  segments: Segments
}

/** What the recurrence of Mamba-3 carries. */
export interface TrapezoidState {
  /** [slots H P, N] */
  ssm: Tensor
  /** Of the last row, [slots H, N] and [slots H, P]. */
  k: Tensor
  v: Tensor
}

/**
 * The gated delta rule (arXiv 2412.06464): S decays, then what its key reads is moved towards the value by the share beta,
 * S = a S + k' beta (v - k a S), y = q S. H heads of values, of which G in turn share queries and keys; a = exp(dt A).
 */
export interface GatedDeltaArgs {
  /** [T, G K]: head h uses group floor(h G / H). */
  q: Tensor
  /** [T, G K] */
  k: Tensor
  /** [T, H V] */
  v: Tensor
  /** [T, H], before bias and softplus (identity above 20). */
  dt: Tensor
  /** [T, H], before the sigmoid. */
  beta: Tensor
  /** [1, H]; A = -exp(A_log). */
  A_log: Tensor
  /** [1, H] */
  dtBias: Tensor
  /** G */
  groups: number
  segments: Segments
  direction: Direction
}

/**
 * Causal attention of grouped queries (arXiv 2305.13245): y = softmax(scale q k') v over the keys of the same sequence up to the row's
 * own, in their order. H heads of queries and G of keys and values, d numbers each; query head h reads key head floor(h G / H).
 */
export interface AttentionArgs {
  /** [T, H d] */
  q: Tensor
  /** [T, G d] */
  k: Tensor
  /** [T, G d] */
  v: Tensor
  /** H */
  heads: number
  /** d */
  width: number
  scale: number
  /** Keys that a row sees at the most, its own included; Infinity: all. */
  window: number
  segments: Segments
}

/**
 * Keys and values of the rows before a chunk, [slots, C G d] each: position p of a sequence lies in row p % C of its slot. C is at least
 * the smaller of the window and the rows up to the end of the segment.
 */
export interface AttentionCache {
  keys: Tensor
  values: Tensor
}

/** Which numbers of a head are turned together: one and the one half of them further on, or neighbours. */
export type Pairs = 'halves' | 'neighbours'

export interface LinearOptions {
  /** [1, O] */
  bias?: Tensor | null
  /** [T, O], added last. */
  residual?: Tensor | null
  activation?: Activation
}

/** What decides how a GPU is used. */
export interface GpuFacts {
  name: string
  /** A processor plays it. */
  software: boolean
  /** Of the largest tensor that it takes. */
  tensorBytes: number
  /** Of those that were looked at, the types whose products its matrices of subgroups give as they should be. */
  matrices: readonly FactorType[]
}

/** Numbers that a GPU multiplies in matrices of subgroups (on NVIDIA cards tensor cores); it adds the products up in float32. */
export const factorTypes = ['f32', 'f16'] as const
export type FactorType = (typeof factorTypes)[number]

/** What a probe of a device found out, as a line, and of a GPU that works as facts. */
export interface Probe {
  works: boolean
  detail: string
  gpu?: GpuFacts
}

/** What a backend on a device of its own has taken so far. */
export interface DeviceUse {
  /** Of memory. */
  bytes: number
  /** Programs that it compiled, and the seconds that took. */
  pipelines: number
  seconds: number
}

export interface Backend {
  /** Of its device in the registry. */
  readonly name: string
  /** Absent where memory is the host's and nothing is compiled. */
  use?(): DeviceUse

  /** Copies `rows * cols` numbers in. */
  upload(data: ArrayLike<number>, rows: number, cols: number): Tensor
  /** A weight, which may be read where it lies whenever an operation needs it: it never changes. `name`: for errors. */
  weight(weight: Weight, name: string): Tensor
  zeros(rows: number, cols: number): Tensor
  /** Copies numbers into a contiguous tensor. */
  write(x: Tensor, data: ArrayLike<number>): void
  /** Copies the numbers out, rows contiguous; Float64Array on `reference`, Float32Array elsewhere. */
  download(x: Tensor): Promise<FloatArray>
  /** Frees tensors; a view frees nothing. */
  release(...tensors: (Tensor | null)[]): void
  /** View on columns from .. to - 1. */
  columns(x: Tensor, from: number, to: number): Tensor
  /** View on rows from .. to - 1. */
  rows(x: Tensor, from: number, to: number): Tensor
  /** View of a contiguous tensor with other dimensions. */
  reshape(x: Tensor, rows: number, cols: number): Tensor
  /** Frees everything; the backend is not used again. */
  close(): Promise<void>

  /** [T, D] = table[ids], table [V, D]. An id outside the table is an error. */
  embedRows(ids: Int32Array, table: Tensor): Tensor
  /** [T, O] = activation(x [T, I] weight' + bias) + residual, weight [O, I]. */
  linear(x: Tensor, weight: Tensor, options?: LinearOptions): Promise<Tensor>
  /** [T, D]; LayerNorm subtracts the mean, RMSNorm does not; weight, bias [1, D]. */
  norm(x: Tensor, spec: GroupNorm, weight: Tensor | null, bias: Tensor | null): Tensor
  /** Depthwise convolution over the row and the K - 1 rows before it (reverse: after it): x [T, E], weight [K, E] with row K - 1 on the row itself, bias [1, E] -> [T, E]. */
  causalConv(x: Tensor, weight: Tensor, bias: Tensor | null, args: ConvArgs): Tensor
  /** [T, E]; state [slots E, N]. `addTo` [T, E]: the result is added to it and it is returned. */
  selectiveScan(args: ScanArgs, state: Tensor | null, addTo?: Tensor): Tensor
  /** [T, H]; state [slots H, 2 M]: real and imaginary part of each mode in turn. */
  s4d(args: S4dArgs, state: Tensor | null): Tensor
  /** The states [T, 2 P]; state [slots P, 2]. */
  s5(args: S5Args, state: Tensor | null): Tensor
  /** [T, H P]; state [slots H P, N]. */
  ssd(args: SsdArgs, state: Tensor | null): Tensor
  /** [T, H V]; state [slots H K, V]. */
  gatedDelta(args: GatedDeltaArgs, state: Tensor | null): Tensor
  /** [T, H 2 S]: S cosines, then S sines for each head; state [slots H, S]: the angles of the last row, modulo 2 pi. */
  turns(args: TurnsArgs, state: Tensor | null): Tensor
  /** [T, H P] */
  trapezoid(args: TrapezoidArgs, state: TrapezoidState | null): Tensor
  /** [T, H d]; the keys and values of segments with a slot are added to the cache. */
  attention(args: AttentionArgs, cache: AttentionCache | null): Tensor
  /**
   * x [T, heads d] turned: the first n pairs (a, b) of each head become (a cos - b sin, b cos + a sin), the rest stays; `turns` [T, 2 n]: n
   * cosines, then n sines.
   */
  rotate(x: Tensor, turns: Tensor, heads: number, pairs: Pairs): Tensor
  /**
   * Shares of the `active` largest logits of each row, of equal ones the first, and 0 for the others, [T, X]; `over`: they sum to 1, or all
   * did before the others were dropped.
   */
  route(logits: Tensor, active: number, over: 'active' | 'all'): Tensor
  /** y [T, D]: row rows[i] += shares[rows[i]] x[i], in place; shares [T, 1]. No row comes twice. */
  addRows(y: Tensor, x: Tensor, rows: Int32Array, shares: Tensor): void
  /** x times a number, [T, D]. */
  scale(x: Tensor, factor: number): Tensor
  /** [T, D], element by element. */
  combine(a: Tensor, b: Tensor, how: Combination): Tensor
  /** [T, D] */
  activate(x: Tensor, activation: Activation): Tensor
  /**
   * The windows of a strided convolution, [T', window D]: output row j of a segment holds its input rows
   * (j + 1) stride - window .. (j + 1) stride - 1 one after the other, zero outside the segment, so a segment of L rows
   * gives ceil(L / stride). A segment that does not end its sequence has a multiple of `stride` rows. Forward only; needs window >= stride.
   * state [slots window, D]: the last `window` inputs, newest last.
   */
  unfold(x: Tensor, window: number, stride: number, segments: Segments, state: Tensor | null): Tensor
  /** [rows.length, D] = x[rows]. */
  gatherRows(x: Tensor, rows: Int32Array): Tensor
  /**
   * Mean, maximum or last row of each sequence that ends in the chunk, [ends, D]; sums are carried so that no cut changes a bit.
   * carry [slots, 2 D], zeros before the first chunk: the running values of sequences that go on; what the numbers are is the
   * backend's own business. Here a segment may be empty, unless it is a whole sequence.
   */
  pool(x: Tensor, segments: Segments, how: Pooling, carry: Tensor | null): Tensor

  /** Gradients and optimizer; absent on a backend that cannot train. */
  readonly gradients?: Gradients
}

/**
 * One backward per forward operation, for whole segments without carried state. Every output is *added to* the tensor
 * that is given for it (views allowed); null outputs are not computed.
 */
export interface Gradients {
  /** dTable [V, D] */
  embedRows(dy: Tensor, ids: Int32Array, dTable: Tensor): void
  /** For a linear without activation. dx [T, I], dWeight [O, I], dBias [1, O]. */
  linear(
    dy: Tensor,
    x: Tensor,
    weight: Tensor,
    into: { dx: Tensor | null; dWeight: Tensor | null; dBias: Tensor | null },
  ): Promise<void>
  norm(
    dy: Tensor,
    x: Tensor,
    spec: GroupNorm,
    weight: Tensor | null,
    into: { dx: Tensor | null; dWeight: Tensor | null; dBias: Tensor | null },
  ): void
  causalConv(
    dy: Tensor,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | null,
    args: Omit<ConvArgs, 'state'>,
    into: { dx: Tensor | null; dWeight: Tensor | null; dBias: Tensor | null },
  ): void
  /**
   * Room for states on the way through a scan (`kept` of its arguments), without which the gradient has to go forward
   * once more; null where it does so anyway.
   */
  keptStates(args: ScanArgs): Tensor | null
  /** dState [E, N] (optional, read): gradient of the final state of the only segment. */
  selectiveScan(dy: Tensor, args: ScanArgs, into: ScanGradients, dState: Tensor | null): void
  s4d(dy: Tensor, args: S4dArgs, into: S4dGradients): void
  s5(dy: Tensor, args: S5Args, into: S5Gradients): void
  /** `ends`: of the only segment. */
  ssd(dy: Tensor, args: SsdArgs, into: SsdGradients, ends?: SsdEnds): void
  gatedDelta(dy: Tensor, args: GatedDeltaArgs, into: GatedDeltaGradients): void
  turns(dy: Tensor, args: TurnsArgs, into: TurnsGradients): void
  trapezoid(dy: Tensor, args: TrapezoidArgs, into: TrapezoidGradients): void
  attention(dy: Tensor, args: AttentionArgs, into: AttentionGradients): void
  /** x is read for dturns only. */
  rotate(
    dy: Tensor,
    x: Tensor,
    turns: Tensor,
    heads: number,
    pairs: Pairs,
    into: { dx: Tensor | null; dturns: Tensor | null },
  ): void
  route(dy: Tensor, logits: Tensor, active: number, over: 'active' | 'all', dlogits: Tensor): void
  addRows(
    dy: Tensor,
    x: Tensor,
    rows: Int32Array,
    shares: Tensor,
    into: { dx: Tensor | null; dshares: Tensor | null },
  ): void
  scale(dy: Tensor, factor: number, dx: Tensor): void
  combine(dy: Tensor, a: Tensor, b: Tensor, how: Combination, into: { da: Tensor | null; db: Tensor | null }): void
  activate(dy: Tensor, x: Tensor, activation: Activation, dx: Tensor): void
  unfold(dy: Tensor, window: number, stride: number, segments: Segments, dx: Tensor): void
  gatherRows(dy: Tensor, rows: Int32Array, dx: Tensor): void
  /** dy [S, D] */
  pool(dy: Tensor, x: Tensor, segments: Segments, how: Pooling, dx: Tensor): void
  /** The length of all of them together, as one vector. */
  globalNorm(tensors: readonly Tensor[]): Promise<number>
  /** One AdamW step (arXiv 1711.05101), in place: param, m, v. `step` counts from 1; gradient is multiplied by `scale` first. */
  adamw(param: Tensor, grad: Tensor, m: Tensor, v: Tensor, settings: AdamWSettings): void
  /** mean += share (x - mean) */
  runningMean(mean: Tensor, x: Tensor, share: number): void
}

export interface ScanGradients {
  du: Tensor | null
  ddt: Tensor | null
  dA_log: Tensor | null
  dB: Tensor | null
  dC: Tensor | null
  dD: Tensor | null
  dz: Tensor | null
  ddtBias: Tensor | null
}

export interface S4dGradients {
  du: Tensor | null
  dlog_dt: Tensor | null
  dlog_A_real: Tensor | null
  dA_imag: Tensor | null
  dC: Tensor | null
  dD: Tensor | null
}

export interface S5Gradients {
  du: Tensor | null
  dLambda: Tensor | null
  dlog_step: Tensor | null
}

export interface SsdGradients {
  dx: Tensor | null
  ddt: Tensor | null
  dA_log: Tensor | null
  dB: Tensor | null
  dC: Tensor | null
  dD: Tensor | null
  ddtBias: Tensor | null
}

/** States at both ends of a segment, [H P, N] each. */
export interface SsdEnds {
  /** What it started from. */
  initial?: Tensor | null
  dInitial?: Tensor | null
  /** Gradient of the last state, read. */
  dLast?: Tensor | null
}

export interface GatedDeltaGradients {
  dq: Tensor | null
  dk: Tensor | null
  dv: Tensor | null
  ddt: Tensor | null
  dbeta: Tensor | null
  dA_log: Tensor | null
  ddtBias: Tensor | null
}

export interface TurnsGradients {
  dangles: Tensor | null
  ddt: Tensor | null
  ddtBias: Tensor | null
}

export interface TrapezoidGradients {
  dv: Tensor | null
  dk: Tensor | null
  dq: Tensor | null
  ddt: Tensor | null
  dA: Tensor | null
  dtrap: Tensor | null
  dD: Tensor | null
  ddtBias: Tensor | null
}

export interface AttentionGradients {
  dq: Tensor | null
  dk: Tensor | null
  dv: Tensor | null
}

export interface AdamWSettings {
  lr: number
  beta1: number
  beta2: number
  eps: number
  weightDecay: number
  step: number
  scale: number
}
