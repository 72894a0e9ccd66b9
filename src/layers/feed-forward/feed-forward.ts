import type { Backend, Tensor } from '../../backends/backend.js'
import type { Weight } from '../../backends/weight.js'
import type { Random } from '../initial.js'
import type { WeightShape } from '../mixers/mixer.js'
import type { Params } from '../params.js'

/** What a kind of row-wise part of a block is made of. */
export interface FeedForward<Spec> {
  /** Names (after its own) and shapes of its weights, in the order of the forward pass. */
  weights(spec: Spec, d_model: number): WeightShape[]
  /** Numbers per row of each tensor that it holds. */
  widths(spec: Spec, d_model: number): number[]
  /** Weights of a fresh one. `branches`: how many branches are added to the residual stream of its model. */
  initialise(spec: Spec, d_model: number, random: Random, branches: number): Map<string, Weight>
  /** What it makes of x [T, D], plus the residual; a null one adds nothing. */
  forward(b: Backend, spec: Spec, params: Params, x: Tensor, residual: Tensor | null): Promise<Tensor>
}
