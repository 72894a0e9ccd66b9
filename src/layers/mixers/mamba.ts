import * as v from 'valibot'
import type { Backend, Tensor } from '../../backends/backend.js'
import type { Direction, Segments } from '../../backends/segments.js'
import type { Weight } from '../../backends/weight.js'
import type { MixerSpec } from '../../spec.js'
import { kind, record } from '../../text/schema.js'
import { constant, filled, linear, type Random, uniform } from '../initial.js'
import { epsilon, width } from '../layer-schemas.js'
import type { Params } from '../params.js'
import type { Family, Mixer, MixerState, Projected, StateShape, WeightShape } from './mixer.js'

/** Mamba-1 mixer (S6, arXiv 2312.00752). E = d_inner, N = d_state, R = dt_rank, K = d_conv. */
export interface MambaSpec {
  kind: 'mamba'
  d_inner: number
  d_state: number
  dt_rank: number
  d_conv: number
  /** Falcon-Mamba: RMSNorm without weight over dt, B and C, with this epsilon. */
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

export const isMamba = (mixer: MixerSpec): mixer is MambaSpec => mixer.kind === 'mamba'

export const mamba: Family<MambaSpec> = {
  kind: 'mamba',
  schema: mambaSchema,
  causal: () => true,
  weights: (spec, d_model) => mambaWeights(spec, d_model),
  widths: (spec) => [2 * spec.d_inner, ...scanWidths(spec)],
  initialise: (spec, d_model, random, branches) => initialiseMamba(spec, d_model, random, branches),
  make: (spec, params) => new Mamba(spec, params),
}

/**
 *     in_proj.weight [2E, D] (rows x, then z), in_proj.bias?, conv.weight [K, E] (row K - 1 on the current row), conv.bias?,
 *     x_proj.weight [R + 2N, E] (rows dt, B, C), dt_proj.weight [E, R], dt_proj.bias, A_log [E, N], D [1, E], out_proj.weight [D, E],
 *     out_proj.bias?
 *
 * `projections`: in_proj and out_proj are its own.
 */
export function mambaWeights(spec: MambaSpec, D: number, projections = true): WeightShape[] {
  const { d_inner: E, d_state: N, dt_rank: R, d_conv: K } = spec
  const projection = (name: string, rows: number, cols: number): WeightShape[] =>
    projections
      ? [
          { name: `${name}.weight`, rows, cols },
          { name: `${name}.bias`, rows: 1, cols: rows, optional: true },
        ]
      : []
  return [
    ...projection('in_proj', 2 * E, D),
    { name: 'conv.weight', rows: K, cols: E },
    { name: 'conv.bias', rows: 1, cols: E, optional: true },
    { name: 'x_proj.weight', rows: R + 2 * N, cols: E },
    { name: 'dt_proj.weight', rows: E, cols: R },
    { name: 'dt_proj.bias', rows: 1, cols: E },
    { name: 'A_log', rows: E, cols: N },
    { name: 'D', rows: 1, cols: E },
    ...projection('out_proj', D, E),
  ]
}

/**
 * As state-spaces/mamba starts them (Mamba.__init__; arXiv 2312.00752, 3.6): A_log = log(1 .. N), D = 1, dt bias the inverse softplus
 * of a step log-uniform in [0.001, 0.1], dt_proj uniform within R^-0.5, linear layers and convolution PyTorch's default, out_proj
 * smaller by the root of the number of branches.
 */
export function initialiseMamba(
  { d_inner: E, d_state: N, dt_rank: R, d_conv: K }: MambaSpec,
  D: number,
  random: Random,
  branches: number,
  projections = true,
): Map<string, Weight> {
  const weights = new Map<string, Weight>()
  if (projections) weights.set('in_proj.weight', linear(random, 2 * E, D))
  weights.set('conv.weight', uniform(random, K, E, 1 / Math.sqrt(K)))
  weights.set('conv.bias', uniform(random, 1, E, 1 / Math.sqrt(K)))
  weights.set('x_proj.weight', linear(random, R + 2 * N, E))
  weights.set('dt_proj.weight', uniform(random, E, R, 1 / Math.sqrt(R)))
  const dtBias = () => {
    const dt = Math.max(Math.exp(random.uniform(Math.log(0.001), Math.log(0.1))), 1e-4)
    return dt + Math.log(-Math.expm1(-dt))
  }
  weights.set('dt_proj.bias', filled(1, E, dtBias))
  weights.set(
    'A_log',
    filled(E, N, (_, n) => Math.log(n + 1)),
  )
  weights.set('D', constant(E, 1))
  if (projections) weights.set('out_proj.weight', linear(random, D, E, Math.sqrt(branches)))
  return weights
}

export const mambaStates = ({ d_inner, d_state, d_conv }: MambaSpec): Record<'conv' | 'ssm', StateShape> => ({
  /** [K, E] raw convolution inputs, newest last. */
  conv: { rows: d_conv, cols: d_inner, transposed: true },
  /** [E, N] */
  ssm: { rows: d_inner, cols: d_state },
})

/** Numbers per row of what `scanMamba` holds beside xz: u, dt, y, what a scan may need on its way, then dt, B and C as they come. */
export const scanWidths = ({ d_inner: E, d_state: N, dt_rank: R, bcdt_norm_eps }: MambaSpec): number[] => {
  const low = R + 2 * N
  return [E, E, E, E, low, ...(bcdt_norm_eps === undefined ? [] : [low, 2 * N])]
}

/** x [T, D] -> xz [T, 2E] */
export const projectMamba = (b: Backend, x: Tensor, params: Params): Promise<Tensor> =>
  b.linear(x, params.get('in_proj.weight'), { bias: params.optional('in_proj.bias') })

/**
 * The part of a Mamba between its projections: convolution, x_proj, dt_proj, selective scan, gate (arXiv 2312.00752, fig. 3).
 * xz [T, 2E] -> y [T, E]; with `addTo` [T, E], y is added to it.
 */
export async function scanMamba(
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
    parts = parts.map((part) => b.norm(part, { kind: 'rms', eps }, null, null))
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
      z: b.columns(xz, E, 2 * E),
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

class Mamba implements Mixer {
  readonly directions = ['forward'] as const

  constructor(
    private readonly spec: MambaSpec,
    private readonly params: Params,
  ) {}

  states(): Record<string, StateShape> {
    return mambaStates(this.spec)
  }

  async project(b: Backend, x: Tensor): Promise<Projected> {
    return { xz: await projectMamba(b, x, this.params) }
  }

  scan(b: Backend, { xz }: Projected, segments: Segments, direction: Direction, state: MixerState | null) {
    return scanMamba(b, this.spec, this.params, xz, segments, direction, state)
  }

  finish(b: Backend, _: Projected, [y]: readonly Tensor[], residual: Tensor | null): Promise<Tensor> {
    return b.linear(y, this.params.get('out_proj.weight'), { bias: this.params.optional('out_proj.bias'), residual })
  }
}
