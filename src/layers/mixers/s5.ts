import * as v from 'valibot'
import type { Backend, Tensor } from '../../backends/backend.js'
import { type Direction, type Segments, wholeSegments } from '../../backends/segments.js'
import { kind, record } from '../../text/schema.js'
import { filled, linear, uniform } from '../initial.js'
import { width } from '../layer-schemas.js'
import type { Params } from '../params.js'
import type { Family, Mixer, MixerState, Projected, StateShape } from './mixer.js'

/** S5 (arXiv 2208.04933): P complex modes that all channels share, x = w x + held B u, y = Re(C x) + D u. */
export interface S5Spec {
  kind: 's5'
  /** P; each mode counts once, whether its conjugate is another of them or not. */
  d_state: number
  /** The same recurrence also reads from the end; C has a part for each direction. */
  bidirectional?: true
  /** GELU and the gate of the official layer follow: g sigmoid(W g), g = GELU(y). */
  gated?: true
}

/** Of `S5Spec`. */
export const s5Schema = record({
  kind: kind('s5'),
  d_state: width,
  bidirectional: v.optional(v.literal(true, 'true')),
  gated: v.optional(v.literal(true, 'true')),
})

/**
 * B.weight [2 P, D] and C.weight, C_reverse.weight [D, 2 P] have real and imaginary part of each mode in turn, those of C the imaginary part
 * negated, so that products with them are real.
 */
export const s5: Family<S5Spec> = {
  kind: 's5',
  schema: s5Schema,
  causal: ({ bidirectional }) => !bidirectional,
  weights: ({ d_state: P, bidirectional, gated }, D) => [
    { name: 'Lambda', rows: P, cols: 2 },
    { name: 'log_step', rows: 1, cols: P },
    { name: 'B.weight', rows: 2 * P, cols: D },
    { name: 'C.weight', rows: D, cols: 2 * P },
    ...(bidirectional ? [{ name: 'C_reverse.weight', rows: D, cols: 2 * P }] : []),
    { name: 'D', rows: 1, cols: D },
    ...(gated
      ? [
          { name: 'gate.weight', rows: D, cols: D },
          { name: 'gate.bias', rows: 1, cols: D },
        ]
      : []),
  ],
  widths: ({ d_state: P, bidirectional, gated }, D) => [
    ...[2 * P, D, 2 * P, D],
    ...(bidirectional ? [2 * P, D] : []),
    ...(gated ? [D, D, D] : []),
  ],
  reverseStates: (spec) => (spec.bidirectional ? statesOf(spec) : {}),
  /** Steps and modes as for S4D (S4D-Lin), B and C normal with the variance of a mean over what they sum. */
  initialise: ({ d_state: P, bidirectional, gated }, D, random) => {
    const C = () => filled(D, 2 * P, () => random.normal() * Math.sqrt(0.5 / P))
    return new Map([
      ['Lambda', filled(P, 2, (p, part) => (part === 0 ? -0.5 : Math.PI * p))],
      ['log_step', filled(1, P, () => random.uniform(Math.log(0.001), Math.log(0.1)))],
      ['B.weight', filled(2 * P, D, () => random.normal() * Math.sqrt(0.5 / D))],
      ['C.weight', C()],
      ...(bidirectional ? [['C_reverse.weight', C()] as const] : []),
      ['D', filled(1, D, () => random.normal())],
      ...(gated
        ? ([
            ['gate.weight', linear(random, D, D)],
            ['gate.bias', uniform(random, 1, D, 1 / Math.sqrt(D))],
          ] as const)
        : []),
    ])
  },
  make: (spec, params) => new S5(spec, params),
}

/** input: B x [T, 2P]; direct: D x [T, D]. */
export async function projectS5(b: Backend, params: Params, x: Tensor): Promise<Projected> {
  const input = await b.linear(x, params.get('B.weight'))
  // A convolution over one row, which no cut can change.
  const around = { segments: wholeSegments(Int32Array.of(0, x.rows)), direction: 'forward' } as const
  const direct = b.causalConv(x, params.get('D'), null, { ...around, activation: 'none', state: null })
  return { input, direct }
}

/** The states after each row, [T, 2P]. */
export function scanS5(
  b: Backend,
  params: Params,
  { input }: Projected,
  segments: Segments,
  direction: Direction,
  state: MixerState | null,
): Tensor {
  const [Lambda, log_step] = ['Lambda', 'log_step'].map((name) => params.get(name))
  return b.s5({ u: input, Lambda, log_step, segments, direction }, state?.ssm ?? null)
}

/** ssm [P, 2]: real and imaginary part of each mode. */
export const statesOf = ({ d_state: P }: { d_state: number }): Record<string, StateShape> => ({
  ssm: { rows: P, cols: 2 },
})

class S5 implements Mixer {
  readonly directions: readonly Direction[]

  constructor(
    private readonly spec: S5Spec,
    private readonly params: Params,
  ) {
    this.directions = spec.bidirectional ? ['forward', 'reverse'] : ['forward']
  }

  states(): Record<string, StateShape> {
    return statesOf(this.spec)
  }

  project(b: Backend, x: Tensor): Promise<Projected> {
    return projectS5(b, this.params, x)
  }

  async scan(b: Backend, projected: Projected, segments: Segments, direction: Direction, state: MixerState | null) {
    return scanS5(b, this.params, projected, segments, direction, state)
  }

  async finish(b: Backend, { direct }: Projected, states: readonly Tensor[], residual: Tensor | null) {
    let y = direct // [T, D]
    for (const [i, x] of states.entries()) {
      const sum = await b.linear(x, this.params.get(i === 0 ? 'C.weight' : 'C_reverse.weight'), { residual: y })
      if (y !== direct) b.release(y)
      y = sum
    }
    const out = this.spec.gated ? await this.gated(b, y) : y
    if (!residual) return out
    const sum = b.combine(out, residual, 'add')
    b.release(out)
    return sum
  }

  /** g sigmoid(W g), g = GELU(y); releases y. */
  private async gated(b: Backend, y: Tensor): Promise<Tensor> {
    const active = b.activate(y, 'gelu')
    const gate = await b.linear(active, this.params.get('gate.weight'), { bias: this.params.get('gate.bias') })
    const out = b.combine(active, gate, 'glu')
    b.release(y, active, gate)
    return out
  }
}
