import * as v from 'valibot'
import type { Backend, Tensor } from '../../backends/backend.js'
import type { Direction, Segments } from '../../backends/segments.js'
import type { Weight } from '../../backends/weight.js'
import { kind, record } from '../../text/schema.js'
import { constant, filled, linear, type Random, uniform } from '../initial.js'
import { epsilon, width } from '../layer-schemas.js'
import type { Params } from '../params.js'
import { type CarriedInner, causalFamily } from './inner.js'
import type { MixerState, WeightShape } from './mixer.js'

/** Mamba-1 mixer (S6, arXiv 2312.00752). E = d_inner, N = d_state, R = dt_rank, K = d_conv. */
export interface MambaSpec {
  kind: 'mamba'
  d_inner: number
  d_state: number
  dt_rank: number
  d_conv: number
  /** RMSNorm over dt, B and C with this epsilon: without weights in Falcon-Mamba, with them in Jamba. */
  bcdt_norm_eps?: number
}

/** Of `MambaSpec`. */
export const mambaSchema = record({
  kind: kind('mamba'),
  d_inner: width,
  d_state: width,
  dt_rank: width,
  d_conv: width,
  bcdt_norm_eps: v.optional(epsilon),
})

export const mambaInner: CarriedInner<MambaSpec> = {
  kind: 'mamba',
  schema: mambaSchema,
  projected: ({ d_inner }) => 2 * d_inner,
  driving: ({ d_inner }) => [0, d_inner],
  weights,
  initialise,
  states: ({ d_inner, d_state, d_conv }) => ({
    /** [K, E] raw convolution inputs, newest last. */
    conv: { rows: d_conv, cols: d_inner, transposed: true },
    /** [E, N] */
    ssm: { rows: d_inner, cols: d_state },
  }),
  widths,
  scan,
}

export const mamba = causalFamily(mambaInner)

/**
 *     in_proj.weight [2E, D] (rows x, then z), in_proj.bias?, conv.weight [K, E] (row K - 1 on the current row), conv.bias?,
 *     x_proj.weight [R + 2N, E] (rows dt, B, C), dt_proj.weight [E, R], dt_proj.bias, A_log [E, N], D [1, E], out_proj.weight [D, E],
 *     out_proj.bias?; where there are norms dt_norm.weight? [1, R], B_norm.weight?, C_norm.weight? [1, N]
 */
function weights({ d_inner: E, d_state: N, dt_rank: R, d_conv: K, bcdt_norm_eps }: MambaSpec): WeightShape[] {
  const norm = (of: string, cols: number): WeightShape[] =>
    bcdt_norm_eps === undefined ? [] : [{ name: `${of}_norm.weight`, rows: 1, cols, optional: true }]
  return [
    { name: 'conv.weight', rows: K, cols: E },
    { name: 'conv.bias', rows: 1, cols: E, optional: true },
    { name: 'x_proj.weight', rows: R + 2 * N, cols: E },
    ...norm('dt', R),
    ...norm('B', N),
    ...norm('C', N),
    { name: 'dt_proj.weight', rows: E, cols: R },
    { name: 'dt_proj.bias', rows: 1, cols: E },
    { name: 'A_log', rows: E, cols: N },
    { name: 'D', rows: 1, cols: E },
  ]
}

/**
 * As state-spaces/mamba starts them (Mamba.__init__; arXiv 2312.00752, 3.6): A_log = log(1 .. N), D = 1, dt_proj uniform within R^-0.5,
 * the convolution PyTorch's default.
 */
function initialise({ d_inner: E, d_state: N, dt_rank: R, d_conv: K }: MambaSpec, random: Random): Map<string, Weight> {
  return new Map([
    ['conv.weight', uniform(random, K, E, 1 / Math.sqrt(K))],
    ['conv.bias', uniform(random, 1, E, 1 / Math.sqrt(K))],
    ['x_proj.weight', linear(random, R + 2 * N, E)],
    ['dt_proj.weight', uniform(random, E, R, 1 / Math.sqrt(R))],
    ['dt_proj.bias', stepBias(random, E)],
    ['A_log', filled(E, N, (_, n) => Math.log(n + 1))],
    ['D', constant(E, 1)],
  ])
}

/** [1, n]: the inverse softplus of a step log-uniform in [0.001, 0.1]. */
export const stepBias = (random: Random, n: number): Weight =>
  filled(1, n, () => {
    const dt = Math.max(Math.exp(random.uniform(Math.log(0.001), Math.log(0.1))), 1e-4)
    return dt + Math.log(-Math.expm1(-dt))
  })

/** u, dt, y, what a scan may need on its way, then dt, B and C as they come. */
function widths({ d_inner: E, d_state: N, dt_rank: R, bcdt_norm_eps }: MambaSpec): number[] {
  const low = R + 2 * N
  return [E, E, E, E, low, ...(bcdt_norm_eps === undefined ? [] : [low, 2 * N])]
}

/** Convolution, x_proj, dt_proj, selective scan, gate (arXiv 2312.00752, fig. 3). */
async function scan(
  b: Backend,
  { d_inner: E, d_state: N, dt_rank: R, bcdt_norm_eps }: MambaSpec,
  p: Params,
  xz: Tensor,
  segments: Segments,
  direction: Direction,
  state: MixerState | null,
  addTo?: Tensor,
): Promise<Tensor> {
  const u = b.causalConv(b.columns(xz, 0, E), p.get('conv.weight'), p.optional('conv.bias'), {
    segments,
    direction,
    activation: 'silu',
    state: state?.conv ?? null,
  }) // [T, E]
  const dtBC = await b.linear(u, p.get('x_proj.weight')) // [T, R + 2N]
  let parts = [b.columns(dtBC, 0, R), b.columns(dtBC, R, R + N), b.columns(dtBC, R + N, R + 2 * N)]
  if (bcdt_norm_eps !== undefined) {
    const eps = bcdt_norm_eps
    const weights = ['dt', 'B', 'C'].map((of) => p.optional(`${of}_norm.weight`))
    parts = parts.map((part, i) => b.norm(part, { kind: 'rms', eps }, weights[i], null))
  }
  const [dtLow, B, C] = parts
  const dt = await b.linear(dtLow, p.get('dt_proj.weight')) // [T, E]
  const y = b.selectiveScan(
    {
      u,
      dt,
      A_log: p.get('A_log'),
      B,
      C,
      D: p.get('D'),
      z: xz.cols > E ? b.columns(xz, E, 2 * E) : null,
      dtBias: p.get('dt_proj.bias'),
      softplus: true,
      segments,
      direction,
    },
    state?.ssm ?? null,
    addTo,
  )
  b.release(u, dt, ...parts, dtBC)
  return y
}
