import * as v from 'valibot'
import type { Backend, Tensor } from '../../backends/backend.js'
import type { Direction, Segments } from '../../backends/segments.js'
import { kind, record } from '../../text/schema.js'
import { constant, linear } from '../initial.js'
import { width } from '../layer-schemas.js'
import type { Params } from '../params.js'
import type { Family, Mixer, MixerState, Projected, StateShape, WeightShape } from './mixer.js'
import { projectS5, s5, scanS5, statesOf } from './s5.js'

/**
 * The encoder layer of FlowState (arXiv 2508.05287; ibm-granite/granite-tsfm, models/flowstate): S5, then an MLP and LayerNorm, for a block
 * without a norm of its own.
 */
export interface FlowStateSpec {
  kind: 'flowstate'
  /** P */
  d_state: number
  /** The states' output is gated: y sigmoid(W y). */
  output_gate?: true
  /** Width of a SwiGLU MLP behind an RMSNorm, y + w3(silu(w1 n) w2 n); absent: g sigmoid(W g), g = SELU(y). */
  d_hidden?: number
}

/** Of `FlowStateSpec`. */
export const flowstateSchema = record({
  kind: kind('flowstate'),
  d_state: width,
  output_gate: v.optional(v.literal(true, 'true')),
  d_hidden: v.optional(width),
})

const linearShapes = (name: string, rows: number, cols: number): WeightShape[] => [
  { name: `${name}.weight`, rows, cols },
  { name: `${name}.bias`, rows: 1, cols: rows },
]

export const flowstate: Family<FlowStateSpec> = {
  kind: 'flowstate',
  schema: flowstateSchema,
  causal: () => true,
  weights: ({ d_state, output_gate, d_hidden: H }, D) => [
    ...s5.weights({ kind: 's5', d_state }, D),
    ...(output_gate ? linearShapes('output_gate', D, D) : []),
    ...(H === undefined
      ? linearShapes('gate', D, D)
      : [
          { name: 'mlp.norm.weight', rows: 1, cols: D },
          ...linearShapes('mlp.w1', H, D),
          ...linearShapes('mlp.w2', H, D),
          ...linearShapes('mlp.w3', D, H),
        ]),
    { name: 'norm.weight', rows: 1, cols: D },
    { name: 'norm.bias', rows: 1, cols: D },
  ],
  widths: ({ d_state: P, d_hidden: H }, D) => [2 * P, D, 2 * P, D, D, ...(H ? [H, H, H] : [D]), D, D],
  initialise: (spec, D, random, branches) => {
    const weights = s5.initialise({ kind: 's5', d_state: spec.d_state }, D, random, branches)
    for (const { name, rows, cols } of flowstate.weights(spec, D)) {
      if (weights.has(name)) continue
      if (name.endsWith('bias')) weights.set(name, constant(cols, 0))
      else weights.set(name, rows === 1 ? constant(cols, 1) : linear(random, rows, cols))
    }
    return weights
  },
  make: (spec, params) => new FlowState(spec, params),
}

class FlowState implements Mixer {
  readonly directions = ['forward'] as const

  constructor(
    private readonly spec: FlowStateSpec,
    private readonly params: Params,
  ) {}

  /** ssm [P, 2]: real and imaginary part of each mode. */
  states(): Record<string, StateShape> {
    return statesOf(this.spec)
  }

  project(b: Backend, x: Tensor): Promise<Projected> {
    return projectS5(b, this.params, x)
  }

  async scan(b: Backend, projected: Projected, segments: Segments, direction: Direction, state: MixerState | null) {
    return scanS5(b, this.params, projected, segments, direction, state)
  }

  async finish(b: Backend, { direct }: Projected, [states]: readonly Tensor[], residual: Tensor | null) {
    const y = await this.output(b, states, direct)
    const mixed = this.spec.d_hidden === undefined ? await this.gated(b, y) : await this.mlp(b, y)
    const { params } = this
    const normed = b.norm(mixed, { kind: 'layer', eps: 1e-5 }, params.get('norm.weight'), params.get('norm.bias'))
    b.release(y, mixed)
    if (!residual) return normed
    const out = b.combine(normed, residual, 'add')
    b.release(normed)
    return out
  }

  /** Re(C x), gated where the spec says so, + D u [T, D] */
  private async output(b: Backend, states: Tensor, direct: Tensor): Promise<Tensor> {
    if (!this.spec.output_gate) return b.linear(states, this.params.get('C.weight'), { residual: direct })
    const read = await b.linear(states, this.params.get('C.weight'))
    const gate = await this.linear(b, read, 'output_gate')
    const kept = b.combine(read, gate, 'glu')
    const y = b.combine(kept, direct, 'add')
    b.release(read, gate, kept)
    return y
  }

  /** [T, D] */
  private async gated(b: Backend, y: Tensor): Promise<Tensor> {
    const active = b.activate(y, 'selu')
    const gate = await this.linear(b, active, 'gate')
    const out = b.combine(active, gate, 'glu')
    b.release(active, gate)
    return out
  }

  /** [T, D] */
  private async mlp(b: Backend, y: Tensor): Promise<Tensor> {
    const normed = b.norm(y, { kind: 'rms', eps: 1e-6 }, this.params.get('mlp.norm.weight'), null)
    const [gate, up] = [await this.linear(b, normed, 'mlp.w1'), await this.linear(b, normed, 'mlp.w2')] // [T, H]
    const hidden = b.combine(up, gate, 'gate')
    const out = await this.linear(b, hidden, 'mlp.w3', y)
    b.release(normed, gate, up, hidden)
    return out
  }

  private linear(b: Backend, x: Tensor, name: string, residual: Tensor | null = null): Promise<Tensor> {
    const [weight, bias] = [this.params.get(`${name}.weight`), this.params.get(`${name}.bias`)]
    return b.linear(x, weight, { bias, residual })
  }
}
