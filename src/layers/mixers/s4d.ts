import * as v from 'valibot'
import type { Backend, Tensor } from '../../backends/backend.js'
import type { Direction, Segments } from '../../backends/segments.js'
import { kind, record, whole } from '../../text/schema.js'
import { filled, linear, uniform } from '../initial.js'
import type { Params } from '../params.js'
import type { Family, Mixer, MixerState, Projected, StateShape } from './mixer.js'

/** S4D (arXiv 2206.11893; state-spaces/s4, models/s4/s4d.py): a linear time-invariant recurrence of each channel, then GELU and GLU. */
export interface S4dSpec {
  kind: 's4d'
  /** N, of which N / 2 complex modes are kept for each channel: the others are their conjugates. */
  d_state: number
}

/** Of `S4dSpec`. */
export const s4dSchema = record({
  kind: kind('s4d'),
  d_state: v.pipe(whole(2, 65_536), v.multipleOf(2, 'an even number')),
})

/** C [D, N] has the real and the imaginary part of each mode in turn. */
export const s4d: Family<S4dSpec> = {
  kind: 's4d',
  schema: s4dSchema,
  causal: () => true,
  weights: ({ d_state: N }, D) => [
    { name: 'log_dt', rows: 1, cols: D },
    { name: 'log_A_real', rows: D, cols: N / 2 },
    { name: 'A_imag', rows: D, cols: N / 2 },
    { name: 'C', rows: D, cols: N },
    { name: 'D', rows: 1, cols: D },
    { name: 'out_proj.weight', rows: 2 * D, cols: D },
    { name: 'out_proj.bias', rows: 1, cols: 2 * D },
  ],
  widths: (_, D) => [D, D, 2 * D, D],
  /** As s4d.py: steps log-uniform in [0.001, 0.1], A = -1/2 + i pi n (S4D-Lin), C and D normal, the projection PyTorch's default. */
  initialise: ({ d_state: N }, D, random) =>
    new Map([
      ['log_dt', filled(1, D, () => random.uniform(Math.log(0.001), Math.log(0.1)))],
      ['log_A_real', filled(D, N / 2, () => Math.log(0.5))],
      ['A_imag', filled(D, N / 2, (_, n) => Math.PI * n)],
      ['C', filled(D, N, () => random.normal() * Math.SQRT1_2)],
      ['D', filled(1, D, () => random.normal())],
      ['out_proj.weight', linear(random, 2 * D, D)],
      ['out_proj.bias', uniform(random, 1, 2 * D, 1 / Math.sqrt(D))],
    ]),
  make: (spec, params) => new S4d(spec, params),
}

class S4d implements Mixer {
  readonly directions = ['forward'] as const
  private readonly D: number

  constructor(
    private readonly spec: S4dSpec,
    private readonly params: Params,
  ) {
    this.D = params.get('D').cols
  }

  /** [D, N]: the modes of each channel, real and imaginary part in turn. */
  states(): Record<string, StateShape> {
    return { ssm: { rows: this.D, cols: this.spec.d_state } }
  }

  async project(_: Backend, x: Tensor): Promise<Projected> {
    return { x }
  }

  async scan(b: Backend, { x }: Projected, segments: Segments, direction: Direction, state: MixerState | null) {
    const [log_dt, log_A_real, A_imag] = ['log_dt', 'log_A_real', 'A_imag'].map((name) => this.params.get(name))
    const [C, D] = [this.params.get('C'), this.params.get('D')]
    return b.s4d({ u: x, log_dt, log_A_real, A_imag, C, D, segments, direction }, state?.ssm ?? null) // [T, D]
  }

  async finish(b: Backend, _: Projected, [y]: readonly Tensor[], residual: Tensor | null): Promise<Tensor> {
    const active = b.activate(y, 'gelu')
    const both = await b.linear(active, this.params.get('out_proj.weight'), { bias: this.params.get('out_proj.bias') })
    const out = b.combine(b.columns(both, 0, this.D), b.columns(both, this.D, 2 * this.D), 'glu') // [T, D]
    b.release(active, both)
    if (!residual) return out
    const sum = b.combine(out, residual, 'add')
    b.release(out)
    return sum
  }
}
