import * as v from 'valibot'
import type { Backend, Tensor } from '../../backends/backend.js'
import type { Direction, Segments } from '../../backends/segments.js'
import { kind, oneOf, record, whole } from '../../text/schema.js'
import { filled, linear, uniform } from '../initial.js'
import type { Params } from '../params.js'
import type { Family, Mixer, MixerState, Projected, StateShape } from './mixer.js'

/**
 * S4D (arXiv 2206.11893; state-spaces/s4, models/s4/s4d.py): a linear time-invariant recurrence of each channel, then GELU and GLU.
 * With the two options it is the S4Block of models/s4/s4.py with a diagonal kernel.
 */
export interface S4dSpec {
  kind: 's4d'
  /** N, of which N / 2 complex modes are kept for each channel: the others are their conjugates. */
  d_state: number
  /** Absent: zero-order hold. */
  discretisation?: 'bilinear'
  /** A second recurrence, with its own C, gives each row what comes after it. */
  bidirectional?: true
}

/** Of `S4dSpec`. */
export const s4dSchema = record({
  kind: kind('s4d'),
  d_state: v.pipe(whole(2, 65_536), v.multipleOf(2, 'an even number')),
  discretisation: v.optional(oneOf('bilinear')),
  bidirectional: v.optional(v.literal(true, 'true')),
})

/** C and C_reverse [D, N] have the real and the imaginary part of each mode in turn. */
export const s4d: Family<S4dSpec> = {
  kind: 's4d',
  schema: s4dSchema,
  causal: ({ bidirectional }) => !bidirectional,
  weights: ({ d_state: N, bidirectional }, D) => [
    { name: 'log_dt', rows: 1, cols: D },
    { name: 'log_A_real', rows: D, cols: N / 2 },
    { name: 'A_imag', rows: D, cols: N / 2 },
    { name: 'C', rows: D, cols: N },
    ...(bidirectional ? [{ name: 'C_reverse', rows: D, cols: N }] : []),
    { name: 'D', rows: 1, cols: D },
    { name: 'out_proj.weight', rows: 2 * D, cols: D },
    { name: 'out_proj.bias', rows: 1, cols: 2 * D },
  ],
  widths: ({ bidirectional }, D) => [D, ...(bidirectional ? [D, D] : []), D, 2 * D, D],
  reverseStates: (spec, D) => (spec.bidirectional ? statesOf(spec, D, 'reverse') : {}),
  /** As s4d.py: steps log-uniform in [0.001, 0.1], A = -1/2 + i pi n (S4D-Lin), C and D normal, the projection PyTorch's default. */
  initialise: ({ d_state: N, bidirectional }, D, random) => {
    const C = () => filled(D, N, () => random.normal() * Math.SQRT1_2)
    return new Map([
      ['log_dt', filled(1, D, () => random.uniform(Math.log(0.001), Math.log(0.1)))],
      ['log_A_real', filled(D, N / 2, () => Math.log(0.5))],
      ['A_imag', filled(D, N / 2, (_, n) => Math.PI * n)],
      ['C', C()],
      ...(bidirectional ? [['C_reverse', C()] as const] : []),
      ['D', filled(1, D, () => random.normal())],
      ['out_proj.weight', linear(random, 2 * D, D)],
      ['out_proj.bias', uniform(random, 1, 2 * D, 1 / Math.sqrt(D))],
    ])
  },
  make: (spec, params) => new S4d(spec, params),
}

/** ssm [D, N]: the modes of each channel, real and imaginary part in turn. shift [2, D]: the newest rows of the reverse recurrence. */
function statesOf({ d_state: N }: S4dSpec, D: number, direction: Direction): Record<string, StateShape> {
  const ssm = { rows: D, cols: N }
  return direction === 'forward' ? { ssm } : { ssm, shift: { rows: 2, cols: D } }
}

class S4d implements Mixer {
  readonly directions: readonly Direction[]
  private readonly D: number

  constructor(
    private readonly spec: S4dSpec,
    private readonly params: Params,
  ) {
    this.directions = spec.bidirectional ? ['forward', 'reverse'] : ['forward']
    this.D = params.get('D').cols
  }

  states(direction: Direction): Record<string, StateShape> {
    return statesOf(this.spec, this.D, direction)
  }

  async project(_: Backend, x: Tensor): Promise<Projected> {
    return { x }
  }

  async scan(b: Backend, { x }: Projected, segments: Segments, direction: Direction, state: MixerState | null) {
    if (direction === 'forward') return this.recurrence(b, x, segments, direction, 'C', this.params.get('D'), state)
    // The official kernel of the other direction begins one row further: the row itself is in the forward one.
    const none = b.zeros(1, this.D)
    const here = await this.recurrence(b, x, segments, direction, 'C_reverse', none, state) // [T, D]
    const before = b.upload([...new Float32Array(this.D).fill(1), ...new Float32Array(this.D)], 2, this.D)
    const shift = { segments, direction, activation: 'none', state: state?.shift ?? null } as const
    const shifted = b.causalConv(here, before, null, shift) // [T, D]
    b.release(none, here, before)
    return shifted
  }

  /** [T, D] */
  private async recurrence(
    b: Backend,
    u: Tensor,
    segments: Segments,
    direction: Direction,
    output: 'C' | 'C_reverse',
    D: Tensor,
    state: MixerState | null,
  ) {
    const [log_dt, log_A_real, A_imag, C] = ['log_dt', 'log_A_real', 'A_imag', output].map((n) => this.params.get(n))
    const discretisation = this.spec.discretisation ?? 'zoh'
    return b.s4d({ u, log_dt, log_A_real, A_imag, C, D, discretisation, segments, direction }, state?.ssm ?? null)
  }

  async finish(b: Backend, _: Projected, ys: readonly Tensor[], residual: Tensor | null): Promise<Tensor> {
    const [forward, reverse] = ys
    const y = reverse ? b.combine(forward, reverse, 'add') : forward // [T, D]
    const active = b.activate(y, 'gelu')
    const both = await b.linear(active, this.params.get('out_proj.weight'), { bias: this.params.get('out_proj.bias') })
    const out = b.combine(b.columns(both, 0, this.D), b.columns(both, this.D, 2 * this.D), 'glu') // [T, D]
    b.release(active, both, reverse ? y : null)
    if (!residual) return out
    const sum = b.combine(out, residual, 'add')
    b.release(out)
    return sum
  }
}
