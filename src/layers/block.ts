import type { Backend, Tensor } from '../backends/backend.js'
import type { Direction, Segments } from '../backends/segments.js'
import type { BlockSpec, NormSpec } from '../spec.js'
import { feedForwardsOf } from './feed-forward/registry.js'
import type { Mixer, MixerState, Projected } from './mixers/mixer.js'
import { familyOf } from './mixers/registry.js'
import type { Params } from './params.js'

/** What each direction of a block's mixer carries from chunk to chunk. */
export type BlockState = Partial<Record<Direction, MixerState>>

/**
 * Pre-norm residual block: x + mixer(norm(x)), then x + feed-forward(norm2(x)) where there is one, or the sum of several; without a norm as it
 * stands.
 */
export class Block {
  readonly mixer: Mixer

  constructor(
    private readonly spec: BlockSpec,
    private readonly normSpec: NormSpec | null,
    private readonly params: Params,
  ) {
    this.mixer = familyOf(spec.mixer).make(spec.mixer, params.within('mixer'))
  }

  zeroState(b: Backend, slots: number): BlockState {
    const state: BlockState = {}
    for (const direction of this.mixer.directions) {
      const shapes = Object.entries(this.mixer.states(direction))
      state[direction] = Object.fromEntries(shapes.map(([name, { rows, cols }]) => [name, b.zeros(slots * rows, cols)]))
    }
    return state
  }

  /** x [T, D] -> [T, D]. `onMixer` sees the mixer's output without the residual. */
  async forward(
    b: Backend,
    x: Tensor,
    segments: Segments,
    state: BlockState | null,
    onMixer?: (mixed: Tensor) => Promise<void>,
  ): Promise<Tensor> {
    const projected = await this.project(b, x, segments)
    const ys: Tensor[] = []
    for (const direction of this.mixer.directions)
      ys.push(await this.mixer.scan(b, projected, segments, direction, state?.[direction] ?? null, ys))
    let out: Tensor
    if (onMixer) {
      const mixed = await this.mixer.finish(b, projected, ys, null, segments)
      await onMixer(mixed)
      out = this.add(b, mixed, x)
    } else out = await this.addTo(b, x, (residual) => this.mixer.finish(b, projected, ys, residual, segments))
    b.release(...new Set([...Object.values(projected), ...ys]))
    const parts = feedForwardsOf(this.spec)
    if (parts.length === 0) return out
    const normed = this.norm(b, out, 'norm2')
    const last = await this.addTo(b, out, async (residual) => {
      let sum = residual
      for (const { name, kind, spec } of parts) {
        const next = await kind.forward(b, spec, this.params.within(name), normed, sum)
        if (sum !== residual) b.release(sum)
        sum = next
      }
      return sum!
    })
    b.release(normed === out ? null : normed, out)
    return last
  }

  /** Takes the state of one direction from one end of a chunk to the other, and nothing else. */
  async carry(b: Backend, x: Tensor, segments: Segments, direction: Direction, state: MixerState): Promise<void> {
    if (this.mixer.carry) {
      const normed = this.norm(b, x, 'norm')
      await this.mixer.carry(b, normed, segments, direction, state)
      if (normed !== x) b.release(normed)
      return
    }
    const projected = await this.project(b, x, segments)
    const y = await this.mixer.scan(b, projected, segments, direction, state, [])
    b.release(...new Set([...Object.values(projected), y]))
  }

  /** x plus what a branch gives, which adds the residual that it is given. */
  private async addTo(b: Backend, x: Tensor, branch: (residual: Tensor | null) => Promise<Tensor>): Promise<Tensor> {
    return this.spec.residual_multiplier === undefined ? branch(x) : this.add(b, await branch(null), x)
  }

  /** x plus what a branch gave, multiplied as the block says; the latter is released. */
  private add(b: Backend, branch: Tensor, x: Tensor): Tensor {
    const { residual_multiplier: factor } = this.spec
    const scaled = factor === undefined ? branch : b.scale(branch, factor)
    const sum = b.combine(scaled, x, 'add')
    b.release(branch)
    if (scaled !== branch) b.release(scaled)
    return sum
  }

  private async project(b: Backend, x: Tensor, segments: Segments): Promise<Projected> {
    const normed = this.norm(b, x, 'norm')
    const projected = await this.mixer.project(b, normed, segments)
    // A mixer may read its input as it stands.
    if (normed !== x && !Object.values(projected).includes(normed)) b.release(normed)
    return projected
  }

  private norm(b: Backend, x: Tensor, name: 'norm' | 'norm2'): Tensor {
    if (!this.normSpec) return x
    return b.norm(x, this.normSpec, this.params.get(`${name}.weight`), this.params.optional(`${name}.bias`))
  }
}
