import * as v from 'valibot'
import type { Backend, Tensor } from '../../backends/backend.js'
import type { Direction, Segments } from '../../backends/segments.js'
import { exitCodes, UserError } from '../../errors.js'
import type { MixerSpec } from '../../spec.js'
import { type Contradiction, consistent, flag, kind, positive, record, whole } from '../../text/schema.js'
import { constant, linear } from '../initial.js'
import { epsilon, width } from '../layer-schemas.js'
import type { Params } from '../params.js'
import { ropeFrequencies, turnsOf } from '../rotation.js'
import type { Family, Mixer, MixerState, Projected, StateShape } from './mixer.js'

/** Causal attention of grouped queries (arXiv 2305.13245). A sequence that is cut carries the keys and values of what was read. */
export interface AttentionSpec {
  kind: 'attention'
  /** Of queries: a multiple of those of keys. */
  heads: number
  /** Of keys and values. */
  kv_heads: number
  /** Numbers of a head. */
  d_head: number
  /** Scores are multiplied by it; absent: d_head^-0.5. */
  scale?: number
  /** Base of the rotary position embedding (arXiv 2104.09864); absent: rows do not know their position. */
  rope_theta?: number
  /** Numbers of a head that are turned by it, the first ones; absent: all. */
  rotary?: number
  /** Of an RMSNorm of each head of queries and keys, before they are turned; absent: there is none. */
  qk_norm_eps?: number
  /** What a row gives is multiplied by the sigmoid of a projection of its own (arXiv 2505.06708). */
  gated?: boolean
  /** Rows that a row sees, itself included; what lies further back is forgotten. */
  window?: number
  /** Rows of the longest sequence, where there is no window. */
  max_length?: number
}

/** Of `AttentionSpec`. */
const schema = v.pipe(
  record({
    kind: kind('attention'),
    heads: width,
    kv_heads: width,
    d_head: width,
    scale: v.optional(positive(1e6)),
    rope_theta: v.optional(positive(1e15)),
    rotary: v.optional(width),
    qk_norm_eps: v.optional(epsilon),
    gated: v.optional(flag),
    window: v.optional(whole(1, 2 ** 31 - 1)),
    max_length: v.optional(whole(1, 2 ** 31 - 1)),
  }),
  consistent(function* ({
    heads,
    kv_heads,
    d_head,
    rope_theta,
    rotary,
    window,
    max_length,
  }: AttentionSpec): Generator<Contradiction> {
    if (heads % kv_heads !== 0) yield ['heads', `a multiple of ${kv_heads}, kv_heads`]
    if (rope_theta !== undefined && rotary === undefined && d_head % 2 !== 0)
      yield ['d_head', 'an even number, for pairs of numbers that are turned']
    if (rotary !== undefined && rope_theta === undefined) yield ['rotary', 'none without rope_theta']
    if (rotary !== undefined && (rotary > d_head || rotary % 2 !== 0))
      yield ['rotary', `an even number of at most ${d_head}, d_head`]
    if (window !== undefined && max_length !== undefined) yield ['max_length', 'none beside a window']
    if (window === undefined && max_length === undefined)
      yield ['max_length', 'a whole number, or a window in its place']
  }),
)

export const isAttention = (mixer: MixerSpec): mixer is AttentionSpec => mixer.kind === 'attention'

/** Rows that a cache of keys holds at the most. */
export const mostKept = ({ window, max_length }: AttentionSpec): number => (window ?? max_length)!

/** Rows for which a cache has room at first. */
const firstKept = 64

/**
 *     q_proj.weight [heads d_head, D], k_proj.weight, v_proj.weight [kv_heads d_head, D], gate_proj.weight [heads d_head, D] (if gated),
 *     out_proj.weight [D, heads d_head], each with .bias?; q_norm.weight, k_norm.weight [1, d_head] (if there is a norm)
 */
export const attention: Family<AttentionSpec> = {
  kind: 'attention',
  schema,
  causal: () => true,
  weights: (spec, D) => [
    ...projections(spec, D).flatMap(({ name, rows, cols }) => [
      { name: `${name}.weight`, rows, cols },
      { name: `${name}.bias`, rows: 1, cols: rows, optional: true as const },
    ]),
    ...norms(spec).map((name) => ({ name, rows: 1, cols: spec.d_head })),
  ],
  widths: ({ heads, kv_heads, d_head, rope_theta, rotary = d_head, qk_norm_eps, gated }, D) => {
    const [Q, K] = [heads * d_head, kv_heads * d_head]
    return [
      ...[Q, K, K, Q, D],
      ...(rope_theta === undefined ? [] : [rotary, Q, K]),
      ...(qk_norm_eps === undefined ? [] : [Q, K]),
      ...(gated ? [Q, Q] : []),
    ]
  },
  cached: (spec) => ({ rows: mostKept(spec), numbers: 2 * spec.kv_heads * spec.d_head }),
  initialise: (spec, D, random, branches) =>
    new Map([
      ...projections(spec, D).map(({ name, rows, cols }) => {
        return [`${name}.weight`, linear(random, rows, cols, name === 'out_proj' ? Math.sqrt(branches) : 1)] as const
      }),
      ...norms(spec).map((name) => [name, constant(spec.d_head, 1)] as const),
    ]),
  make: (spec, params) => new Attention(spec, params),
}

function projections({ heads, kv_heads, d_head, gated }: AttentionSpec, D: number) {
  const [Q, K] = [heads * d_head, kv_heads * d_head]
  return [
    { name: 'q_proj', rows: Q, cols: D },
    { name: 'k_proj', rows: K, cols: D },
    { name: 'v_proj', rows: K, cols: D },
    ...(gated ? [{ name: 'gate_proj', rows: Q, cols: D }] : []),
    { name: 'out_proj', rows: D, cols: Q },
  ]
}

const norms = ({ qk_norm_eps }: AttentionSpec) => (qk_norm_eps === undefined ? [] : ['q_norm.weight', 'k_norm.weight'])

class Attention implements Mixer {
  readonly directions = ['forward'] as const

  constructor(
    private readonly spec: AttentionSpec,
    private readonly params: Params,
  ) {}

  states(): Record<string, StateShape> {
    const { kv_heads, d_head } = this.spec
    const cache: StateShape = {
      rows: 1,
      cols: Math.min(firstKept, mostKept(this.spec)) * kv_heads * d_head,
      cache: { heads: kv_heads, width: d_head, most: mostKept(this.spec) },
    }
    return { key_cache: cache, value_cache: cache }
  }

  async project(b: Backend, x: Tensor): Promise<Projected> {
    return {
      q: await this.linear(b, 'q_proj', x),
      k: await this.linear(b, 'k_proj', x),
      v: await this.linear(b, 'v_proj', x),
      ...(this.spec.gated && { gate: await this.linear(b, 'gate_proj', x) }),
    }
  }

  async scan(b: Backend, { q, k, v }: Projected, segments: Segments, _: Direction, state: MixerState | null) {
    const { heads, kv_heads, d_head: width, scale = width ** -0.5, rope_theta, window = Infinity } = this.spec
    const { rotary = width, qk_norm_eps: eps } = this.spec
    this.checkLengths(segments)
    const turns = rope_theta === undefined ? null : turnsOf(b, segments, ropeFrequencies(rotary / 2, rope_theta))
    const made: Tensor[] = []
    const keep = (x: Tensor) => {
      made.push(x)
      return x
    }
    const normed = (x: Tensor, norm: string) => {
      if (eps === undefined) return x
      const each = b.reshape(x, (x.rows * x.cols) / width, width)
      return b.reshape(keep(b.norm(each, { kind: 'rms', eps }, this.params.get(norm), null)), x.rows, x.cols)
    }
    const turned = (x: Tensor, count: number) => (turns ? keep(b.rotate(x, turns, count, 'halves')) : x)
    const queries = turned(normed(q, 'q_norm.weight'), heads)
    const keys = turned(normed(k, 'k_norm.weight'), kv_heads)
    if (state) await this.makeRoom(b, segments, state)
    const cache = state && { keys: state.key_cache, values: state.value_cache }
    const y = b.attention({ q: queries, k: keys, v, heads, width, scale, window, segments }, cache) // [T, heads d_head]
    b.release(turns, ...made)
    return y
  }

  async finish(b: Backend, { gate }: Projected, [y]: readonly Tensor[], residual: Tensor | null): Promise<Tensor> {
    if (!gate) return this.linear(b, 'out_proj', y, residual)
    const gated = b.combine(y, gate, 'glu')
    const out = await this.linear(b, 'out_proj', gated, residual)
    b.release(gated)
    return out
  }

  private linear(b: Backend, name: string, x: Tensor, residual: Tensor | null = null): Promise<Tensor> {
    return b.linear(x, this.params.get(`${name}.weight`), { bias: this.params.optional(`${name}.bias`), residual })
  }

  private checkLengths({ offsets, start }: Segments): void {
    const { max_length } = this.spec
    if (max_length === undefined) return
    for (let s = 0; s < start.length; s++)
      if (start[s] + offsets[s + 1] - offsets[s] > max_length)
        throw new UserError(`a sequence is longer than the ${max_length} rows that this model reads`, exitCodes.data)
  }

  /** Makes the caches larger, twice as large at least, until what the segments add fits. */
  private async makeRoom(b: Backend, { offsets, start, slot }: Segments, state: MixerState): Promise<void> {
    const cols = this.spec.kv_heads * this.spec.d_head
    const needed = slot.reduce((most, one, s) => {
      return one < 0 ? most : Math.max(most, start[s] + offsets[s + 1] - offsets[s])
    }, 0)
    const most = mostKept(this.spec)
    for (const [name, old] of Object.entries(state)) {
      const rows = old.cols / cols
      if (rows >= Math.min(needed, most)) continue
      const larger = b.zeros(old.rows, Math.min(most, Math.max(needed, 2 * rows)) * cols)
      const kept = await b.download(old)
      for (let s = 0; s < old.rows; s++) {
        const into = b.columns(b.rows(larger, s, s + 1), 0, old.cols)
        b.write(into, kept.subarray(s * old.cols, (s + 1) * old.cols))
      }
      b.release(old)
      state[name] = larger
    }
  }
}
