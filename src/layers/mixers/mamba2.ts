import * as v from 'valibot'
import type { Backend, Tensor } from '../../backends/backend.js'
import type { Direction, Segments } from '../../backends/segments.js'
import type { Weight } from '../../backends/weight.js'
import { type Contradiction, consistent, flag, kind, positive, real, record, whole } from '../../text/schema.js'
import { constant, filled, type Random, uniform } from '../initial.js'
import { epsilon, width } from '../layer-schemas.js'
import type { Params } from '../params.js'
import { type CarriedInner, causalFamily } from './inner.js'
import { stepBias } from './mamba.js'
import type { MixerState, WeightShape } from './mixer.js'

/** Mamba-2 mixer (SSD, arXiv 2405.21060). E = d_inner, P = headdim, H = E / P heads, G = n_groups, N = d_state, K = d_conv. */
export interface Mamba2Spec {
  kind: 'mamba2'
  d_inner: number
  headdim: number
  /** Heads in turn share B and C. */
  n_groups: number
  d_state: number
  d_conv: number
  /** Steps are at least and at most these; null: there is no most. Absent: no limit at all. */
  dt_limit?: [least: number, most: number | null]
  /** RMSNorm of what goes into out_proj; absent: the gate alone. */
  norm?: GatedNormSpec
}

/** norm(y silu(z)) or, `before_gate`, norm(y) silu(z). */
export interface GatedNormSpec {
  eps: number
  /** Equal parts of the channels, each with a norm of its own. */
  groups: number
  before_gate: boolean
}

/** Of `Mamba2Spec`. */
export const mamba2Schema = v.pipe(
  record({
    kind: kind('mamba2'),
    d_inner: width,
    headdim: width,
    n_groups: width,
    d_state: width,
    d_conv: width,
    dt_limit: v.optional(v.tuple([real(0, 1e6), v.nullable(positive(1e6))], 'two limits')),
    norm: v.optional(record({ eps: epsilon, groups: whole(1, 65_536), before_gate: flag })),
  }),
  consistent(function* ({ d_inner, headdim, n_groups, dt_limit, norm }: Mamba2Spec): Generator<Contradiction> {
    if (d_inner % headdim) yield ['headdim', `a part of d_inner, ${d_inner}`]
    if ((d_inner / headdim) % n_groups) yield ['n_groups', `a part of the ${d_inner / headdim} heads`]
    if (norm && d_inner % norm.groups) yield ['norm.groups', `a part of d_inner, ${d_inner}`]
    if (dt_limit && dt_limit[0] > (dt_limit[1] ?? Number.POSITIVE_INFINITY)) yield ['dt_limit', 'the lower limit first']
  }),
)

export const mamba2Inner: CarriedInner<Mamba2Spec> = {
  kind: 'mamba2',
  schema: mamba2Schema,
  projected: (spec) => spec.d_inner + convWidth(spec) + heads(spec),
  driving: (spec) => [spec.d_inner, mamba2Inner.projected(spec)],
  weights,
  initialise,
  states: (spec) => ({
    /** [K, E + 2 G N] raw convolution inputs, newest last. */
    conv: { rows: spec.d_conv, cols: convWidth(spec), transposed: true },
    /** [H P, N] */
    ssm: { rows: spec.d_inner, cols: spec.d_state },
  }),
  // x, B and C, steps and decays, y, and what a scan may need on its way; gate and norm take no more.
  widths: (spec) => [convWidth(spec), 3 * heads(spec), spec.d_inner, spec.d_inner],
  scan,
}

export const mamba2 = causalFamily(mamba2Inner)

const heads = ({ d_inner, headdim }: Mamba2Spec) => d_inner / headdim

/** x, B and C, which the convolution takes together. */
const convWidth = ({ d_inner, n_groups, d_state }: Mamba2Spec) => d_inner + 2 * n_groups * d_state

/**
 *     in_proj.weight [2E + 2 G N + H, D] (rows z, x, B, C, dt), in_proj.bias?, conv.weight [K, E + 2 G N], conv.bias?,
 *     dt_bias [1, H], A_log [1, H], D [1, H], norm.weight [1, E] (if there is a norm), out_proj.weight [D, E], out_proj.bias?
 */
function weights(spec: Mamba2Spec): WeightShape[] {
  const [H, cols] = [heads(spec), convWidth(spec)]
  return [
    { name: 'conv.weight', rows: spec.d_conv, cols },
    { name: 'conv.bias', rows: 1, cols, optional: true },
    { name: 'dt_bias', rows: 1, cols: H },
    { name: 'A_log', rows: 1, cols: H },
    { name: 'D', rows: 1, cols: H },
    ...(spec.norm ? [{ name: 'norm.weight', rows: 1, cols: spec.d_inner }] : []),
  ]
}

/** As state-spaces/mamba starts them (Mamba2.__init__): A uniform in [1, 16], D and the norm 1, the convolution PyTorch's default. */
function initialise(spec: Mamba2Spec, random: Random): Map<string, Weight> {
  const [H, cols, K] = [heads(spec), convWidth(spec), spec.d_conv]
  const weights = new Map([
    ['conv.weight', uniform(random, K, cols, 1 / Math.sqrt(K))],
    ['conv.bias', uniform(random, 1, cols, 1 / Math.sqrt(K))],
    ['dt_bias', stepBias(random, H)],
    ['A_log', filled(1, H, () => Math.log(random.uniform(1, 16)))],
    ['D', constant(H, 1)],
  ])
  if (spec.norm) weights.set('norm.weight', constant(spec.d_inner, 1))
  return weights
}

/** Convolution, SSD, gate and norm (arXiv 2405.21060, fig. 6). */
async function scan(
  b: Backend,
  spec: Mamba2Spec,
  p: Params,
  zxBCdt: Tensor,
  segments: Segments,
  direction: Direction,
  state: MixerState | null,
  addTo?: Tensor,
): Promise<Tensor> {
  const { d_inner: E, n_groups: G, d_state: N, dt_limit: [least, most] = [0, null], norm } = spec
  const gated = zxBCdt.cols === mamba2Inner.projected(spec)
  const xFrom = gated ? E : 0
  const dtFrom = xFrom + convWidth(spec)
  const xBC = b.causalConv(b.columns(zxBCdt, xFrom, dtFrom), p.get('conv.weight'), p.optional('conv.bias'), {
    segments,
    direction,
    activation: 'silu',
    state: state?.conv ?? null,
  }) // [T, E + 2 G N]
  const y = b.ssd(
    {
      x: b.columns(xBC, 0, E),
      dt: b.columns(zxBCdt, dtFrom, dtFrom + heads(spec)),
      A_log: p.get('A_log'),
      B: b.columns(xBC, E, E + G * N),
      C: b.columns(xBC, E + G * N, E + 2 * G * N),
      groups: G,
      D: p.get('D'),
      dtBias: p.get('dt_bias'),
      dtLimit: [least, most ?? Number.POSITIVE_INFINITY],
      segments,
      direction,
    },
    state?.ssm ?? null,
  ) // [T, E]
  b.release(xBC)
  if (!gated) return y
  const out = gatedNorm(b, norm, y, b.columns(zxBCdt, 0, E), norm ? p.get('norm.weight') : null)
  if (!addTo) return out
  const sum = b.combine(addTo, out, 'add')
  b.release(out)
  return sum
}

/** y, which is released, and z [T, E] -> [T, E]; without a norm y silu(z). */
export function gatedNorm(
  b: Backend,
  spec: GatedNormSpec | undefined,
  y: Tensor,
  z: Tensor,
  weight: Tensor | null,
): Tensor {
  const normed = (x: Tensor) => {
    if (!spec) return x
    const out = b.norm(x, { kind: 'rms', eps: spec.eps, groups: spec.groups }, weight, null)
    b.release(x)
    return out
  }
  const gated = (x: Tensor) => {
    const out = b.combine(x, z, 'gate')
    b.release(x)
    return out
  }
  return spec?.before_gate ? gated(normed(y)) : normed(gated(y))
}
