import * as v from 'valibot'
import type { Backend, Tensor } from '../../backends/backend.js'
import type { Direction, Segments } from '../../backends/segments.js'
import type { Weight } from '../../backends/weight.js'
import { type Contradiction, consistent, kind, positive, record } from '../../text/schema.js'
import { constant, filled, type Random } from '../initial.js'
import { epsilon, width } from '../layer-schemas.js'
import type { Params } from '../params.js'
import { causalFamily, type Inner } from './inner.js'
import { stepBias } from './mamba.js'
import { gatedNorm } from './mamba2.js'
import type { MixerState, WeightShape } from './mixer.js'

/**
 * Mamba-3 mixer with one input and one output per channel (SISO, arXiv 2603.15569). E = d_inner, P = headdim, H = E / P heads,
 * G = n_groups, N = d_state, S = angles. Rates of decay are those of state-spaces/mamba (`TrapezoidArgs`); other implementations have softplus in
 * their place.
 */
export interface Mamba3Spec {
  kind: 'mamba3'
  d_inner: number
  headdim: number
  /** Heads in turn share B and C. */
  n_groups: number
  d_state: number
  /** Pairs of states that turn, the first ones. */
  angles: number
  /** What a rate of decay is at least. */
  least_rate: number
  /** Of a norm of each head before the gate; absent: the gate alone. */
  norm_eps?: number
}

/** Of `Mamba3Spec`. */
const schema = v.pipe(
  record({
    kind: kind('mamba3'),
    d_inner: width,
    headdim: width,
    n_groups: width,
    d_state: width,
    angles: width,
    least_rate: positive(1),
    norm_eps: v.optional(epsilon),
  }),
  consistent(function* ({ d_inner, headdim, n_groups, d_state, angles }: Mamba3Spec): Generator<Contradiction> {
    if (d_inner % headdim) yield ['headdim', `a part of d_inner, ${d_inner}`]
    if ((d_inner / headdim) % n_groups) yield ['n_groups', `a part of the ${d_inner / headdim} heads`]
    if (2 * angles > d_state) yield ['angles', `at most half of d_state, ${d_state}`]
  }),
)

export const mamba3Inner: Inner<Mamba3Spec> = {
  kind: 'mamba3',
  schema,
  projected: (spec) => places(spec).end,
  weights,
  initialise,
  states: (spec) => {
    const H = heads(spec)
    return {
      /** Modulo 2 pi. */
      angle: { rows: H, cols: spec.angles },
      /** [H P, N] */
      ssm: { rows: spec.d_inner, cols: spec.d_state },
      /** Of the last row, with the bias and turned. */
      k: { rows: H, cols: spec.d_state },
      v: { rows: H, cols: spec.headdim },
    }
  },
  // Turns; B or C of the groups, as it comes and normed; those of the heads, and what they become side by side; y; factors of the heads.
  widths: (spec) => {
    const [H, shared, perHead] = [heads(spec), spec.n_groups * spec.d_state, heads(spec) * spec.d_state]
    return [2 * H * spec.angles, shared, shared, perHead, perHead, 3 * perHead, spec.d_inner, spec.d_inner, 3 * H]
  },
  scan,
}

export const mamba3 = causalFamily(mamba3Inner)

const heads = ({ d_inner, headdim }: Mamba3Spec) => d_inner / headdim

/** The first columns of what in_proj gives, in the order of its rows. */
function places(spec: Mamba3Spec) {
  const [E, H, shared] = [spec.d_inner, heads(spec), spec.n_groups * spec.d_state]
  const dt = 2 * E + 2 * shared
  return {
    z: 0,
    x: E,
    B: 2 * E,
    C: 2 * E + shared,
    dt,
    A: dt + H,
    trap: dt + 2 * H,
    angles: dt + 3 * H,
    end: dt + 3 * H + spec.angles,
  }
}

/**
 *     in_proj.weight [2E + 2 G N + 3H + S, D] (rows z, x, B, C, dt, A, trap, angles), dt_bias [1, H], B_norm.weight, C_norm.weight [1, N],
 *     B_bias, C_bias [H, N], D [1, H], norm.weight [1, E] (if there is a norm), out_proj.weight [D, E]
 */
function weights(spec: Mamba3Spec): WeightShape[] {
  const [H, N] = [heads(spec), spec.d_state]
  return [
    { name: 'dt_bias', rows: 1, cols: H },
    { name: 'B_norm.weight', rows: 1, cols: N },
    { name: 'C_norm.weight', rows: 1, cols: N },
    { name: 'B_bias', rows: H, cols: N },
    { name: 'C_bias', rows: H, cols: N },
    { name: 'D', rows: 1, cols: H },
    ...(spec.norm_eps === undefined ? [] : [{ name: 'norm.weight', rows: 1, cols: spec.d_inner }]),
  ]
}

/** As state-spaces/mamba starts them (Mamba3.__init__): biases, norms and D 1. */
function initialise(spec: Mamba3Spec, random: Random): Map<string, Weight> {
  return new Map(
    weights(spec).map(({ name, rows, cols }) => [
      name,
      name === 'dt_bias' ? stepBias(random, cols) : rows === 1 ? constant(cols, 1) : filled(rows, cols, () => 1),
    ]),
  )
}

/** The norm of B and C; the official code has no key for its epsilon. */
const sharedNorm = { kind: 'rms', eps: 1e-5 } as const

/** Turns, the recurrence, gate and norm (arXiv 2603.15569). */
async function scan(
  b: Backend,
  spec: Mamba3Spec,
  p: Params,
  projected: Tensor,
  segments: Segments,
  _: Direction,
  state: MixerState | null,
): Promise<Tensor> {
  const { angles: S, least_rate: leastRate, norm_eps: eps } = spec
  const [H, at] = [heads(spec), places(spec)]
  const steps = { dt: b.columns(projected, at.dt, at.A), dtBias: p.get('dt_bias') }
  const turns = b.turns(
    { angles: b.columns(projected, at.angles, at.end), pairs: S, ...steps, segments },
    state?.angle ?? null,
  )
  const T = projected.rows
  const rows = rowsOfHeads(T, H, spec.n_groups)
  const k = turned(b, spec, b.columns(projected, at.B, at.C), p.get('B_norm.weight'), p.get('B_bias'), turns, rows)
  const q = turned(b, spec, b.columns(projected, at.C, at.dt), p.get('C_norm.weight'), p.get('C_bias'), turns, rows)
  b.release(turns)
  const y = b.trapezoid(
    {
      v: b.columns(projected, at.x, at.B),
      k: b.reshape(k, T, H * spec.d_state),
      q: b.reshape(q, T, H * spec.d_state),
      ...steps,
      A: b.columns(projected, at.A, at.trap),
      trap: b.columns(projected, at.trap, at.angles),
      D: p.get('D'),
      leastRate,
      segments,
    },
    state && { ssm: state.ssm, k: state.k, v: state.v },
  ) // [T, E]
  b.release(k, q)
  const norm = eps === undefined ? undefined : { eps, groups: H, before_gate: true }
  return gatedNorm(b, norm, y, b.columns(projected, at.z, at.x), norm ? p.get('norm.weight') : null)
}

/** B or C of all groups, [T, G N], normed; then that of each head with its bias, turned: [T H, N]. */
function turned(
  b: Backend,
  { n_groups: G, d_state: N, angles: S }: Mamba3Spec,
  x: Tensor,
  weight: Tensor,
  bias: Tensor,
  turns: Tensor,
  { groupRows, headRows }: ReturnType<typeof rowsOfHeads>,
): Tensor {
  const whole = b.scale(x, 1) // [T, G N] without the columns around it
  const normed = b.norm(b.reshape(whole, x.rows * G, N), sharedNorm, weight, null)
  const [ofHeads, biases] = [b.gatherRows(normed, groupRows), b.gatherRows(bias, headRows)]
  const sum = b.combine(ofHeads, biases, 'add')
  const out = b.rotate(sum, b.reshape(turns, sum.rows, 2 * S), 1, 'neighbours')
  b.release(whole, normed, ofHeads, biases, sum)
  return out
}

/** For each head of each row: its group in [T G, N], and itself in [H, N]. Plain loops: there are millions of them. */
function rowsOfHeads(T: number, H: number, G: number) {
  const [groupRows, headRows] = [new Int32Array(T * H), new Int32Array(T * H)]
  for (let t = 0, i = 0; t < T; t++)
    for (let h = 0; h < H; h++, i++) {
      groupRows[i] = t * G + Math.floor((h * G) / H)
      headRows[i] = h
    }
  return { groupRows, headRows }
}
