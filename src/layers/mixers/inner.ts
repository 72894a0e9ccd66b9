import type { Backend, Tensor } from '../../backends/backend.js'
import type { Direction, Segments } from '../../backends/segments.js'
import type { Weight } from '../../backends/weight.js'
import type { MixerSpec } from '../../spec.js'
import { linear, type Random } from '../initial.js'
import type { Params } from '../params.js'
import type { Family, Mixer, MixerState, Projected, StateShape, WeightShape } from './mixer.js'

/** What a Mamba of either kind does between its in_proj and its out_proj, which two directions may share. E = d_inner. */
export interface Inner<Spec extends InnerSpec = InnerSpec> extends Pick<Family<Spec>, 'kind' | 'schema'> {
  /** Rows of in_proj. */
  projected(spec: Spec): number
  /** Names and shapes of its own weights. */
  weights(spec: Spec): WeightShape[]
  initialise(spec: Spec, random: Random): Map<string, Weight>
  states(spec: Spec): Record<string, StateShape>
  /** Numbers per row of what `scan` holds beside its input. */
  widths(spec: Spec): number[]
  /** projected [T, rows of in_proj] -> y [T, E], or addTo + y, which may be addTo itself; two directions alone give it. */
  scan(
    b: Backend,
    spec: Spec,
    params: Params,
    projected: Tensor,
    segments: Segments,
    direction: Direction,
    state: MixerState | null,
    addTo?: Tensor,
  ): Promise<Tensor>
}

/** One whose state two directions carry without their output: of the driving columns alone `scan` gives y without its gate. */
export interface CarriedInner<Spec extends InnerSpec = InnerSpec> extends Inner<Spec> {
  /** Rows of in_proj that drive the recurrence, from .. to - 1; the others gate what it gives. */
  driving(spec: Spec): Range
}

type Range = readonly [from: number, to: number]

export interface InnerSpec extends MixerSpec {
  d_inner: number
}

/** in_proj.weight [.., D], in_proj.bias?, its own, out_proj.weight [D, E], out_proj.bias?. `projections`: both are its own. */
export function innerWeights<S extends InnerSpec>(
  inner: Inner<S>,
  spec: S,
  D: number,
  projections = true,
): WeightShape[] {
  const own = inner.weights(spec)
  if (!projections) return own
  const projection = (name: string, rows: number, cols: number): WeightShape[] => [
    { name: `${name}.weight`, rows, cols },
    { name: `${name}.bias`, rows: 1, cols: rows, optional: true },
  ]
  return [...projection('in_proj', inner.projected(spec), D), ...own, ...projection('out_proj', D, spec.d_inner)]
}

/** Linear layers are PyTorch's default, out_proj smaller by the root of the number of branches. */
export function initialiseInner<S extends InnerSpec>(
  inner: Inner<S>,
  spec: S,
  D: number,
  random: Random,
  branches: number,
  projections = true,
): Map<string, Weight> {
  const weights = new Map<string, Weight>()
  if (projections) weights.set('in_proj.weight', linear(random, inner.projected(spec), D))
  for (const [name, weight] of inner.initialise(spec, random)) weights.set(name, weight)
  if (projections) weights.set('out_proj.weight', linear(random, D, spec.d_inner, Math.sqrt(branches)))
  return weights
}

/** x [T, D] -> [T, rows of in_proj], or of that the columns from .. to - 1. */
export function projectIn(b: Backend, x: Tensor, params: Params, only?: Range): Promise<Tensor> {
  const [weight, bias] = [params.get('in_proj.weight'), params.optional('in_proj.bias')]
  return only
    ? b.linear(x, b.rows(weight, ...only), { bias: bias && b.columns(bias, ...only) })
    : b.linear(x, weight, { bias })
}

/** y [T, E] -> [T, D], plus the residual if there is one. */
export const projectOut = (b: Backend, y: Tensor, params: Params, residual: Tensor | null): Promise<Tensor> =>
  b.linear(y, params.get('out_proj.weight'), { bias: params.optional('out_proj.bias'), residual })

/** The family of mixers that read forward only. */
export const causalFamily = <S extends InnerSpec>(inner: Inner<S>): Family<S> => ({
  kind: inner.kind,
  schema: inner.schema,
  causal: () => true,
  weights: (spec, D) => innerWeights(inner, spec, D),
  widths: (spec) => [inner.projected(spec), ...inner.widths(spec)],
  initialise: (spec, D, random, branches) => initialiseInner(inner, spec, D, random, branches),
  make: (spec, params) => new Causal(inner, spec, params),
})

class Causal<S extends InnerSpec> implements Mixer {
  readonly directions = ['forward'] as const

  constructor(
    private readonly inner: Inner<S>,
    private readonly spec: S,
    private readonly params: Params,
  ) {}

  states(): Record<string, StateShape> {
    return this.inner.states(this.spec)
  }

  async project(b: Backend, x: Tensor): Promise<Projected> {
    return { projected: await projectIn(b, x, this.params) }
  }

  scan(b: Backend, { projected }: Projected, segments: Segments, direction: Direction, state: MixerState | null) {
    return this.inner.scan(b, this.spec, this.params, projected, segments, direction, state)
  }

  finish(b: Backend, _: Projected, [y]: readonly Tensor[], residual: Tensor | null): Promise<Tensor> {
    return projectOut(b, y, this.params, residual)
  }
}
