import type { Backend, Tensor } from '../../backends/backend.js'
import type { Direction, Segments } from '../../backends/segments.js'
import type { MixerSpec } from '../../spec.js'
import { flag, kind, kinds, oneOf, record } from '../../text/schema.js'
import type { Params } from '../params.js'
import { type AnyMambaSpec, innerOf } from './any-mamba.js'
import { initialiseInner, innerWeights, projectIn } from './inner.js'
import { mambaSchema } from './mamba.js'
import { mamba2Schema } from './mamba2.js'
import type { Family, Mixer, MixerState, Projected, StateShape } from './mixer.js'

/** One Mamba left to right and one right to left over the same input (Caduceus BiMamba, arXiv 2403.03234). */
export interface BidirectionalSpec {
  kind: 'bidirectional'
  mamba: AnyMambaSpec
  combine: 'add' | 'multiply'
  /** in_proj and out_proj are shared by both directions. */
  tied: boolean
}

/** Of `BidirectionalSpec`. */
export const bidirectionalSchema = record({
  kind: kind('bidirectional'),
  mamba: kinds([mambaSchema, mamba2Schema]),
  combine: oneOf('add', 'multiply'),
  tied: flag,
})

/** Of a product that gives the bits of a wider one: ONNX Runtime adds up those of up to 64 in another order. */
const fewestColumns = 128

export const isBidirectional = (mixer: MixerSpec): mixer is BidirectionalSpec => mixer.kind === 'bidirectional'

/** Weights: two of a Mamba, `forward.*` and `reverse.*`; tied: reverse has no in_proj and no out_proj. */
export const bidirectional: Family<BidirectionalSpec> = {
  kind: 'bidirectional',
  schema: bidirectionalSchema,
  causal: () => false,
  weights: ({ mamba, tied }, D) => [
    ...innerWeights(innerOf(mamba), mamba, D).map((shape) => ({ ...shape, name: `forward.${shape.name}` })),
    ...innerWeights(innerOf(mamba), mamba, D, !tied).map((shape) => ({ ...shape, name: `reverse.${shape.name}` })),
  ],
  widths: ({ mamba, tied }, D) => {
    const inner = innerOf(mamba)
    const projections = Array(tied ? 1 : 2).fill(inner.projected(mamba))
    return [...projections, ...inner.widths(mamba), mamba.d_inner, D, D]
  },
  reverseStates: ({ mamba }) => innerOf(mamba).states(mamba),
  initialise: ({ mamba, tied }, D, random, branches) => {
    const inner = innerOf(mamba)
    const forward = initialiseInner(inner, mamba, D, random, branches)
    const reverse = initialiseInner(inner, mamba, D, random, branches, !tied)
    return new Map([
      ...[...forward].map(([name, matrix]) => [`forward.${name}`, matrix] as const),
      ...[...reverse].map(([name, matrix]) => [`reverse.${name}`, matrix] as const),
    ])
  },
  make: (spec, params) => new Bidirectional(spec, params),
}

/** Tied projections are computed once: with `add`, out_proj(y_f + y_r) = out_proj(y_f) + out_proj(y_r). */
class Bidirectional implements Mixer {
  readonly directions = ['forward', 'reverse'] as const
  /** Both directions share in_proj and out_proj, so that their outputs are added before it. */
  private readonly sharesSum: boolean

  constructor(
    private readonly spec: BidirectionalSpec,
    private readonly params: Params,
  ) {
    this.sharesSum = spec.tied && spec.combine === 'add'
  }

  states(): Record<string, StateShape> {
    return innerOf(this.spec.mamba).states(this.spec.mamba)
  }

  async project(b: Backend, x: Tensor): Promise<Projected> {
    const forward = await projectIn(b, x, this.params.within('forward'))
    const reverse = this.spec.tied ? forward : await projectIn(b, x, this.params.within('reverse'))
    return { forward, reverse }
  }

  /** Without what only gates the output, and without the other direction's projection. */
  async carry(b: Backend, x: Tensor, segments: Segments, direction: Direction, state: MixerState): Promise<void> {
    const { mamba, tied } = this.spec
    const inner = innerOf(mamba)
    const [from, to] = inner.driving(mamba)
    const only = to - from < fewestColumns ? undefined : ([from, to] as const)
    const projected = await projectIn(b, x, this.params.within(tied ? 'forward' : direction), only)
    const y = await inner.scan(b, mamba, this.params.within(direction), projected, segments, direction, state)
    b.release(projected, y)
  }

  scan(
    b: Backend,
    projected: Projected,
    segments: Segments,
    direction: Direction,
    state: MixerState | null,
    [y]: readonly Tensor[],
  ): Promise<Tensor> {
    const { mamba } = this.spec
    const params = this.params.within(direction)
    const addTo = this.sharesSum ? y : undefined
    return innerOf(mamba).scan(b, mamba, params, projected[direction], segments, direction, state, addTo)
  }

  async finish(b: Backend, _: Projected, [y, yReverse]: readonly Tensor[], residual: Tensor | null): Promise<Tensor> {
    const forward = this.params.within('forward')
    const reverse = this.spec.tied ? forward : this.params.within('reverse')
    const out = (y: Tensor, params: Params, bias: Tensor | null, residual: Tensor | null) =>
      b.linear(y, params.get('out_proj.weight'), { bias, residual })
    const bias = forward.optional('out_proj.bias')
    if (this.sharesSum) {
      // What the second direction gave is the sum of both.
      // out_proj adds its bias once per direction.
      const twice = bias && b.combine(bias, bias, 'add')
      const sum = await out(yReverse, forward, twice, residual)
      b.release(twice)
      return sum
    }
    const add = this.spec.combine === 'add'
    const first = await out(y, forward, bias, add ? residual : null)
    const second = await out(yReverse, reverse, reverse.optional('out_proj.bias'), add ? first : null)
    if (add) {
      b.release(first)
      return second
    }
    const product = b.combine(first, second, 'multiply')
    b.release(first, second)
    if (!residual) return product
    const sum = b.combine(product, residual, 'add')
    b.release(product)
    return sum
  }
}
