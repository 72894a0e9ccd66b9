import type * as v from 'valibot'
import type { Backend, Tensor } from '../../backends/backend.js'
import type { Direction, Segments } from '../../backends/segments.js'
import type { Weight } from '../../backends/weight.js'
import type { MixerSpec } from '../../spec.js'
import type { Random } from '../initial.js'
import type { Params } from '../params.js'

/** A state tensor of one slot. */
export interface StateShape {
  rows: number
  cols: number
  /** The official code keeps it as [cols, rows]. */
  transposed?: true
  /**
   * One row of a slot holds rows of the sequence, `heads` times `width` numbers each, position p in place p modulo their number. It grows
   * up to `most` of them. The official code keeps [heads, those that there are, width].
   */
  cache?: { heads: number; width: number; most: number }
}

/** The state tensors of one direction by their names, a block of rows for each slot. */
export type MixerState = Record<string, Tensor>

/** What `project` gives, for `scan` and `finish` of the same mixer. */
export type Projected = Record<string, Tensor>

/**
 * The sequence-mixing part of a block. `project` and `finish` look at each row by itself; what looks across rows is in `scan`, which
 * runs once for each direction, in the order of `directions`.
 */
export interface Mixer {
  readonly directions: readonly Direction[]
  /** What a direction carries from chunk to chunk, by the names of the official code. */
  states(direction: Direction): Record<string, StateShape>
  /** x [T, D], normed. */
  project(b: Backend, x: Tensor, segments: Segments): Promise<Projected>
  /**
   * The recurrence. `state` is updated in place, a cache of it replaced as it grows; null: every sequence begins and ends in the chunk. `ys`: what the directions before
   * this one gave; a mixer may add to one of these and return it.
   */
  scan(
    b: Backend,
    projected: Projected,
    segments: Segments,
    direction: Direction,
    state: MixerState | null,
    ys: readonly Tensor[],
  ): Promise<Tensor>
  /**
   * What `project` and `scan` do to the state of one direction, where nobody reads what they give; absent: nothing less than they do. x is
   * released by whoever gave it.
   */
  carry?(b: Backend, x: Tensor, segments: Segments, direction: Direction, state: MixerState): Promise<void>
  /** mixer(x) + residual [T, D], from what each direction gave; a null residual adds nothing. */
  finish(
    b: Backend,
    projected: Projected,
    ys: readonly Tensor[],
    residual: Tensor | null,
    segments: Segments,
  ): Promise<Tensor>
}

export interface WeightShape {
  name: string
  rows: number
  cols: number
  /** A bias that a model has or has not. */
  optional?: true
  /** The only modality that reads it; absent: all do. */
  modality?: number
}

/** Everything that is known of a kind of mixer. */
export interface Family<Spec extends MixerSpec = MixerSpec> {
  readonly kind: Spec['kind']
  /** What a spec of this kind may say (text/schema.ts). */
  readonly schema: v.VariantOptions<'kind'>[number]
  /** Each row depends only on rows before it, so that a sequence can be cut and its state carried. */
  causal(spec: Spec): boolean
  /** Names (after that of the mixer) and shapes of its weights, in the order of the forward pass. */
  weights(spec: Spec, d_model: number): WeightShape[]
  /** Numbers per row of each tensor that it holds between the norm and its output, as if all were there at once. */
  widths(spec: Spec, d_model: number): number[]
  /** What it carries from chunk to chunk when it reads backwards; absent: it does not. */
  reverseStates?(spec: Spec, d_model: number): Record<string, StateShape>
  /** Rows of a sequence that it keeps at the most, and the numbers of each, where what it carries grows with the sequence. */
  cached?(spec: Spec): { rows: number; numbers: number }
  /** How many modalities it tells apart; absent or infinite: it reads all alike. */
  modalities?(spec: Spec): number
  /** Weights of a fresh mixer. `branches`: how many branches are added to the residual stream of its model. */
  initialise(spec: Spec, d_model: number, random: Random, branches: number): Map<string, Weight>
  make(spec: Spec, params: Params): Mixer
}
