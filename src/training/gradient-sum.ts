import type { Backend, Tensor } from '../backends/backend.js'

/** Gradients of the shards of a step, by the names of the parameters, added up in the order of the shards. */
export interface GradientSum {
  /** The tensors are its own from here on. */
  put(shard: number, gradients: Map<string, Tensor>): Promise<void>
  /** The sum of the first `shards`, whose tensors are the caller's. */
  take(shards: number): Map<string, Tensor>
}

export const sizeOf = (tensors: Iterable<{ rows: number; cols: number }>): number =>
  [...tensors].reduce((size, { rows, cols }) => size + rows * cols, 0)

/** In slots of shared memory, from which every replica adds up all of them. */
export class SharedSum implements GradientSum {
  readonly #slots: Float32Array
  readonly #size: number

  /** `slots`: [shards, numbers of all parameters] float32. */
  constructor(
    private readonly backend: Backend,
    private readonly parameters: ReadonlyMap<string, Tensor>,
    slots: SharedArrayBuffer,
  ) {
    this.#slots = new Float32Array(slots)
    this.#size = sizeOf(parameters.values())
  }

  async put(shard: number, gradients: Map<string, Tensor>): Promise<void> {
    let at = shard * this.#size
    for (const gradient of gradients.values()) {
      this.#slots.set(await this.backend.download(gradient), at)
      at += gradient.rows * gradient.cols
      this.backend.release(gradient)
    }
  }

  take(shards: number): Map<string, Tensor> {
    const sums = new Map<string, Tensor>()
    let at = 0
    for (const [name, { rows, cols }] of this.parameters) {
      const ofShard = (shard: number) => {
        const from = shard * this.#size + at
        return this.backend.upload(this.#slots.subarray(from, from + rows * cols), rows, cols)
      }
      let sum = ofShard(0)
      for (let shard = 1; shard < shards; shard++) {
        const [before, part] = [sum, ofShard(shard)]
        sum = this.backend.combine(before, part, 'add')
        this.backend.release(before, part)
      }
      sums.set(name, sum)
      at += rows * cols
    }
    return sums
  }
}

/** Of the only replica, which computes one shard after the other: on its device. */
export class DeviceSum implements GradientSum {
  #sums: Map<string, Tensor> | null = null

  constructor(private readonly backend: Backend) {}

  async put(_: number, gradients: Map<string, Tensor>): Promise<void> {
    if (!this.#sums) {
      this.#sums = gradients
      return
    }
    for (const [name, part] of gradients) {
      this.backend.gradients!.combine(part, part, part, 'add', { da: this.#sums.get(name)!, db: null })
      this.backend.release(part)
    }
  }

  take(): Map<string, Tensor> {
    const sums = this.#sums!
    this.#sums = null
    return sums
  }
}
