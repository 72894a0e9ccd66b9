import type { Backend, Tensor } from '../backends/backend.js'
import type { Weights } from '../spec.js'

/** Weights of one part of a model on a backend, found by the rest of their name (names: end of src/spec.ts). */
export class Params {
  constructor(
    private readonly tensors: Map<string, Tensor>,
    private readonly prefix = '',
  ) {}

  within(part: string): Params {
    return new Params(this.tensors, `${this.prefix}${part}.`)
  }

  get(name: string): Tensor {
    const tensor = this.optional(name)
    if (!tensor) throw new Error(`weight ${this.prefix}${name} is missing`)
    return tensor
  }

  optional(name: string): Tensor | null {
    return this.tensors.get(this.prefix + name) ?? null
  }
}

export function uploadWeights(backend: Backend, weights: Weights): Map<string, Tensor> {
  return new Map([...weights].map(([name, weight]) => [name, backend.weight(weight)]))
}
