import * as v from 'valibot'
import type { Backend, Tensor } from '../../backends/backend.js'
import type { Direction, Segments } from '../../backends/segments.js'
import { kind, record } from '../../text/schema.js'
import { uniform } from '../initial.js'
import { epsilon, width } from '../layer-schemas.js'
import type { Params } from '../params.js'
import { turnsOf } from '../rotation.js'
import type { Family, Mixer, MixerState, Projected, StateShape } from './mixer.js'

/**
 * Multi-scale retention (RetNet, arXiv 2307.08621; torchscale, multiscale_retention.py): S = decay S + k' v, y = q S, of each head with a
 * decay of its own. That is SSD with steps of 1: row by row or in chunks with a state between them, the results are the same.
 */
export interface RetentionSpec {
  kind: 'retention'
  heads: number
  /** Numbers of a head: of keys, an even number, and of values. */
  d_key: number
  d_value: number
  /** Of the norm of each head. */
  norm_eps: number
}

/** Of `RetentionSpec`. */
const schema = record({
  kind: kind('retention'),
  heads: width,
  d_key: v.pipe(width, v.multipleOf(2, 'an even number')),
  d_value: width,
  norm_eps: epsilon,
})

/**
 *     q_proj.weight, k_proj.weight [heads d_key, D], v_proj.weight, g_proj.weight [heads d_value, D],
 *     out_proj.weight [D, heads d_value]
 */
export const retention: Family<RetentionSpec> = {
  kind: 'retention',
  schema,
  causal: () => true,
  weights: (spec, D) => projections(spec, D),
  widths: ({ heads, d_key, d_value }, D) => {
    const [K, V] = [heads * d_key, heads * d_value]
    return [K, K, V, V, d_key, K, K, K, heads, heads, V, V, V, D]
  },
  /** As torchscale starts them: Xavier's uniform distribution, smaller by 2^2.5, that of out_proj by 2. */
  initialise: (spec, D, random) =>
    new Map(
      projections(spec, D).map(({ name, rows, cols }) => {
        const gain = name === 'out_proj.weight' ? 0.5 : 2 ** -2.5
        return [name, uniform(random, rows, cols, gain * Math.sqrt(6 / (rows + cols)))]
      }),
    ),
  make: (spec, params) => new Retention(spec, params),
}

function projections({ heads, d_key, d_value }: RetentionSpec, D: number) {
  const [K, V] = [heads * d_key, heads * d_value]
  return [
    { name: 'q_proj.weight', rows: K, cols: D },
    { name: 'k_proj.weight', rows: K, cols: D },
    { name: 'v_proj.weight', rows: V, cols: D },
    { name: 'g_proj.weight', rows: V, cols: D },
    { name: 'out_proj.weight', rows: D, cols: V },
  ]
}

/** log(1 - 2^-5), log(1 - 2^-6), ... */
export const logDecays = (heads: number): number[] =>
  Array.from({ length: heads }, (_, h) => Math.log1p(-(2 ** (-5 - h))))

/** The decays of a head up to a position summed up, by whose root the official code divides what the row gives, so that it keeps its size. */
export const scaleAt = (position: number, logDecay: number): number =>
  Math.expm1((position + 1) * logDecay) / Math.expm1(logDecay)

/** Angles of the pairs per position, from 1 down to 1 / 10000. */
export const retentionFrequencies = (d_key: number): number[] => {
  const pairs = d_key / 2
  return Array.from({ length: pairs }, (_, i) => 10_000 ** (-i / Math.max(1, pairs - 1)))
}

class Retention implements Mixer {
  readonly directions = ['forward'] as const

  constructor(
    private readonly spec: RetentionSpec,
    private readonly params: Params,
  ) {}

  /** [heads d_value, d_key]: sums of values and keys, times the root of what `scaleAt` says the official code's. */
  states(): Record<string, StateShape> {
    const { heads, d_key, d_value } = this.spec
    return { prev_key_value: { rows: heads * d_value, cols: d_key } }
  }

  async project(b: Backend, x: Tensor): Promise<Projected> {
    const linear = (name: string) => b.linear(x, this.params.get(`${name}_proj.weight`))
    return { q: await linear('q'), k: await linear('k'), v: await linear('v'), g: await linear('g') }
  }

  /** [T, heads d_value] */
  async scan(
    b: Backend,
    { q, k, v: values }: Projected,
    segments: Segments,
    direction: Direction,
    state: MixerState | null,
  ): Promise<Tensor> {
    const { heads, d_key } = this.spec
    const turns = turnsOf(b, segments, retentionFrequencies(d_key))
    const scaled = b.scale(k, d_key ** -0.5)
    const [B, C] = [scaled, q].map((x) => b.rotate(x, turns, heads, 'neighbours'))
    const A_log = b.upload(logDecays(heads).map((decay) => Math.log(-decay)), 1, heads) // biome-ignore format: one line
    const [dt, none] = [b.zeros(q.rows, heads), b.zeros(1, heads)]
    const y = b.ssd(
      { x: values, dt, A_log, B, C, groups: heads, D: none, dtBias: none, dtLimit: [1, 1], segments, direction },
      state?.prev_key_value ?? null,
    )
    b.release(turns, scaled, B, C, A_log, dt, none)
    const sized = this.resized(b, y, segments)
    b.release(y)
    return sized
  }

  async finish(b: Backend, { g }: Projected, [y]: readonly Tensor[], residual: Tensor | null): Promise<Tensor> {
    const { heads, norm_eps: eps } = this.spec
    const normed = b.norm(y, { kind: 'rms', eps, groups: heads }, null, null)
    const gated = b.combine(normed, g, 'gate')
    const out = await b.linear(gated, this.params.get('out_proj.weight'), { residual })
    b.release(normed, gated)
    return out
  }

  /** Each head of each row divided by the root of its scale. */
  private resized(b: Backend, y: Tensor, { offsets, start }: Segments): Tensor {
    const { heads, d_value } = this.spec
    const factors = new Float64Array(y.rows * heads)
    const decays = logDecays(heads)
    for (let s = 0; s < start.length; s++)
      for (let t = offsets[s]; t < offsets[s + 1]; t++)
        for (const [h, decay] of decays.entries())
          factors[t * heads + h] = scaleAt(start[s] + t - offsets[s], decay) ** -0.5
    const shares = b.upload(factors, y.rows, heads)
    const all = Int32Array.from({ length: y.rows }, (_, t) => t)
    const out = b.zeros(y.rows, y.cols)
    for (let h = 0; h < heads; h++) {
      const [from, to] = [h * d_value, (h + 1) * d_value]
      b.addRows(b.columns(out, from, to), b.columns(y, from, to), all, b.columns(shares, h, h + 1))
    }
    b.release(shares)
    return out
  }
}
