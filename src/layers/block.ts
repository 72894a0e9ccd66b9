import type { Backend, Tensor } from '../backends/backend.js'
import type { Direction, Segments } from '../backends/segments.js'
import type { BlockSpec, NormSpec } from '../spec.js'
import { gatedMlp } from './gated-mlp.js'
import type { Mixer, MixerState, Projected } from './mixers/mixer.js'
import { familyOf } from './mixers/registry.js'
import type { Params } from './params.js'

/** What each direction of a block's mixer carries from chunk to chunk. */
export type BlockState = Partial<Record<Direction, MixerState>>

/** Pre-norm residual block: x + mixer(norm(x)), then x + mlp(norm2(x)) when there is an MLP; without a norm as it stands. */
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
    const projected = await this.project(b, x)
    const ys: Tensor[] = []
    for (const direction of this.mixer.directions)
      ys.push(await this.mixer.scan(b, projected, segments, direction, state?.[direction] ?? null, ys))
    let out: Tensor
    if (onMixer) {
      const mixed = await this.mixer.finish(b, projected, ys, null)
      await onMixer(mixed)
      out = b.combine(mixed, x, 'add')
      b.release(mixed)
    } else out = await this.mixer.finish(b, projected, ys, x)
    b.release(...new Set([...Object.values(projected), ...ys]))
    if (!this.spec.mlp) return out
    const normed = this.norm(b, out, 'norm2')
    const last = await gatedMlp(b, this.spec.mlp, this.params.within('mlp'), normed, out)
    b.release(normed === out ? null : normed, out)
    return last
  }

  /** Takes the state of one direction from one end of a chunk to the other, and nothing else. */
  async carry(b: Backend, x: Tensor, segments: Segments, direction: Direction, state: MixerState): Promise<void> {
    const projected = await this.project(b, x)
    const y = await this.mixer.scan(b, projected, segments, direction, state, [])
    b.release(...new Set([...Object.values(projected), y]))
  }

  private async project(b: Backend, x: Tensor): Promise<Projected> {
    const normed = this.norm(b, x, 'norm')
    const projected = await this.mixer.project(b, normed)
    // A mixer may read its input as it stands.
    if (normed !== x && !Object.values(projected).includes(normed)) b.release(normed)
    return projected
  }

  private norm(b: Backend, x: Tensor, name: 'norm' | 'norm2'): Tensor {
    if (!this.normSpec) return x
    return b.norm(x, this.normSpec, this.params.get(`${name}.weight`), this.params.optional(`${name}.bias`))
  }
}
