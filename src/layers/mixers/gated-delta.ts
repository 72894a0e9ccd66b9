import * as v from 'valibot'
import type { Backend, Tensor } from '../../backends/backend.js'
import type { Direction, Segments } from '../../backends/segments.js'
import type { Weight } from '../../backends/weight.js'
import type { MixerSpec } from '../../spec.js'
import { type Contradiction, consistent, kind, record } from '../../text/schema.js'
import { constant, filled, type Random, uniform } from '../initial.js'
import { epsilon, width } from '../layer-schemas.js'
import type { Params } from '../params.js'
import { causalFamily } from './inner.js'
import { stepBias } from './mamba.js'
import type { MixerState, WeightShape } from './mixer.js'

/**
 * Gated DeltaNet (arXiv 2412.06464): a memory of values by keys that decays, and of which each row corrects what its key finds. E = d_inner,
 * H = heads, V = E / H numbers of a value; G = key_heads of queries and keys, K = d_key numbers each.
 */
export interface GatedDeltaSpec {
  kind: 'gated-delta'
  d_inner: number
  heads: number
  /** Heads in turn share queries and keys. */
  key_heads: number
  d_key: number
  d_conv: number
  /** Of the norm of each head before the gate. */
  norm_eps: number
}

/** Of `GatedDeltaSpec`. */
const schema = v.pipe(
  record({
    kind: kind('gated-delta'),
    d_inner: width,
    heads: width,
    key_heads: width,
    d_key: width,
    d_conv: width,
    norm_eps: epsilon,
  }),
  consistent(function* ({ d_inner, heads, key_heads }: GatedDeltaSpec): Generator<Contradiction> {
    if (d_inner % heads) yield ['heads', `a part of d_inner, ${d_inner}`]
    if (heads % key_heads) yield ['key_heads', `a part of the ${heads} heads`]
  }),
)

export const isGatedDelta = (mixer: MixerSpec): mixer is GatedDeltaSpec => mixer.kind === 'gated-delta'

export const gatedDelta = causalFamily<GatedDeltaSpec>({
  kind: 'gated-delta',
  schema,
  projected: (spec) => convWidth(spec) + spec.d_inner + 2 * spec.heads,
  weights,
  initialise,
  states: (spec) => ({
    /** [d_conv, 2 G K + E] raw convolution inputs, newest last. */
    conv_state: { rows: spec.d_conv, cols: convWidth(spec), transposed: true },
    /** [H K, V] */
    recurrent_state: { rows: spec.heads * spec.d_key, cols: spec.d_inner / spec.heads },
  }),
  // q, k and v; q and k of length one, and on the way there; decays and shares; y, normed and gated.
  widths: (spec) => [convWidth(spec), 4 * spec.key_heads * spec.d_key, 2 * spec.heads, 3 * spec.d_inner],
  scan,
})

/** q, k and v, which the convolution takes together. */
const convWidth = ({ d_inner, key_heads, d_key }: GatedDeltaSpec) => 2 * key_heads * d_key + d_inner

/**
 *     in_proj.weight [2 G K + 2 E + 2 H, D] (rows q, k, v, gate, beta, dt), in_proj.bias?, conv.weight [d_conv, 2 G K + E], conv.bias?,
 *     dt_bias [1, H], A_log [1, H], norm.weight [1, V], out_proj.weight [D, E], out_proj.bias?
 */
function weights(spec: GatedDeltaSpec): WeightShape[] {
  const { d_inner, heads, d_conv } = spec
  return [
    { name: 'conv.weight', rows: d_conv, cols: convWidth(spec) },
    { name: 'conv.bias', rows: 1, cols: convWidth(spec), optional: true },
    { name: 'dt_bias', rows: 1, cols: heads },
    { name: 'A_log', rows: 1, cols: heads },
    { name: 'norm.weight', rows: 1, cols: d_inner / heads },
  ]
}

/** As its authors start them (NVlabs/GatedDeltaNet): A uniform in (0, 16], steps as Mamba has them, the convolution PyTorch's default. */
function initialise(spec: GatedDeltaSpec, random: Random): Map<string, Weight> {
  const { d_inner, heads, d_conv } = spec
  return new Map([
    ['conv.weight', uniform(random, d_conv, convWidth(spec), 1 / Math.sqrt(d_conv))],
    ['dt_bias', stepBias(random, heads)],
    ['A_log', filled(1, heads, () => Math.log(16 - random.uniform(0, 16)))],
    ['norm.weight', constant(d_inner / heads, 1)],
  ])
}

/** Convolution, q and k of length one, the rule, norm and gate. */
async function scan(
  b: Backend,
  spec: GatedDeltaSpec,
  p: Params,
  projected: Tensor,
  segments: Segments,
  direction: Direction,
  state: MixerState | null,
): Promise<Tensor> {
  const { d_inner: E, heads, key_heads: groups, d_key, norm_eps: eps } = spec
  const [Q, T] = [groups * d_key, projected.rows]
  const [gateFrom, betaFrom] = [2 * Q + E, 2 * Q + 2 * E]
  const qkv = b.causalConv(b.columns(projected, 0, gateFrom), p.get('conv.weight'), p.optional('conv.bias'), {
    segments,
    direction,
    activation: 'silu',
    state: state?.conv_state ?? null,
  }) // [T, 2 G K + E]
  // x / sqrt(sum x^2 + 1e-6) is an RMSNorm over sqrt(d_key); q is divided by that once more.
  const norm = { kind: 'rms', eps: 1e-6 / d_key, groups } as const
  const unit = (from: number, factor: number) => {
    const normed = b.norm(b.columns(qkv, from, from + Q), norm, null, null)
    const x = b.scale(normed, factor)
    b.release(normed)
    return x
  }
  const [q, k] = [unit(0, 1 / d_key), unit(Q, d_key ** -0.5)]
  const y = b.gatedDelta(
    {
      ...{ q, k, v: b.columns(qkv, 2 * Q, gateFrom) },
      beta: b.columns(projected, betaFrom, betaFrom + heads),
      dt: b.columns(projected, betaFrom + heads, betaFrom + 2 * heads),
      A_log: p.get('A_log'),
      dtBias: p.get('dt_bias'),
      groups,
      segments,
      direction,
    },
    state?.recurrent_state ?? null,
  ) // [T, E]
  b.release(qkv, q, k)
  const normed = b.norm(b.reshape(y, T * heads, E / heads), { kind: 'rms', eps }, p.get('norm.weight'), null)
  b.release(y)
  const out = b.combine(b.reshape(normed, T, E), b.columns(projected, gateFrom, betaFrom), 'gate')
  b.release(normed)
  return out
}
