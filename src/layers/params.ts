import type { Backend, Tensor } from '../backends/backend.js'
import type { Weight } from '../backends/weight.js'

/**
 * Weights by their normalised names. Biases marked `?` and norm biases are there or not; the code looks.
 *
 *     embedding.weight [V, d_embed]; of tokens alone
 *     stem.{i}.weight [d_out, window d_in], stem.{i}.bias
 *     blocks.{i}.norm.weight, .bias?
 *     blocks.{i}.mixer.*            as the family of the mixer names them (layers/mixers/)
 *     blocks.{i}.norm2.weight, .bias?, blocks.{i}.mlp.*, blocks.{i}.moe.*   as their files name them (layers/feed-forward/)
 *     norm_f.weight, .bias?
 *     head.weight [V, labels or vocabulary, D] (labels of both strands: [labels, 2 D], pooling flatten: [labels, L' D]), head.bias?;
 *                                   absent for tied tokens
 */
export type Weights = Map<string, Weight>

/** Weights of one part of a model on a backend, found by the rest of their name (`Weights`). */
export class Params {
  constructor(
    private readonly tensors: Map<string, Tensor>,
    private readonly prefix = '',
    private readonly shared: Params | null = null,
  ) {}

  /** Of a part; `shared` has what it lacks. */
  within(part: string, shared: Params | null = null): Params {
    return new Params(this.tensors, `${this.prefix}${part}.`, shared)
  }

  get(name: string): Tensor {
    const tensor = this.optional(name)
    if (!tensor) throw new Error(`weight ${this.prefix}${name} is missing`)
    return tensor
  }

  optional(name: string): Tensor | null {
    return this.tensors.get(this.prefix + name) ?? this.shared?.optional(name) ?? null
  }
}

export function uploadWeights(backend: Backend, weights: Weights): Map<string, Tensor> {
  return new Map([...weights].map(([name, weight]) => [name, backend.weight(weight, name)]))
}
