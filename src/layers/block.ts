import type { Backend, Segments, Tensor } from '../backends/backend.js'
import type { BlockSpec, MixerSpec, NormSpec } from '../spec.js'
import { Bidirectional } from './bidirectional.js'
import { Mamba } from './mamba.js'
import type { BlockState, Mixer, ScanState } from './mixer.js'
import { gatedMlp } from './mlp.js'
import type { Params } from './params.js'

/** Pre-norm residual block: x + mixer(norm(x)), then x + mlp(norm2(x)) when there is an MLP. */
export class Block {
  private readonly mixer: Mixer

  constructor(
    private readonly spec: BlockSpec,
    private readonly normSpec: NormSpec,
    private readonly params: Params,
  ) {
    this.mixer = makeMixer(spec.mixer, params.within('mixer'))
  }

  zeroState(b: Backend): BlockState {
    return this.mixer.zeroState(b)
  }

  /** x [T, D] -> [T, D]. `onMixer` sees the mixer's output without the residual. */
  async forward(
    b: Backend,
    x: Tensor,
    segments: Segments,
    state: BlockState | null,
    onMixer?: (mixed: Tensor) => Promise<void>,
  ): Promise<Tensor> {
    const normed = this.norm(b, x, 'norm')
    let out: Tensor
    if (onMixer) {
      const mixed = await this.mixer.forward(b, normed, null, segments, state)
      await onMixer(mixed)
      out = b.combine(mixed, x, 'add')
      b.release(mixed)
    } else {
      out = await this.mixer.forward(b, normed, x, segments, state)
    }
    b.release(normed)
    if (!this.spec.mlp) return out
    const normed2 = this.norm(b, out, 'norm2')
    const last = await gatedMlp(b, this.spec.mlp, this.params.within('mlp'), normed2, out)
    b.release(normed2, out)
    return last
  }

  /** Takes the reverse state over this chunk, right to left (bidirectional blocks only). */
  async sweepReverse(b: Backend, x: Tensor, segments: Segments, state: ScanState): Promise<void> {
    const normed = this.norm(b, x, 'norm')
    await this.mixer.sweepReverse!(b, normed, segments, state)
    b.release(normed)
  }

  private norm(b: Backend, x: Tensor, name: 'norm' | 'norm2'): Tensor {
    return b.norm(x, this.normSpec, this.params.get(`${name}.weight`), this.params.optional(`${name}.bias`))
  }
}

function makeMixer(spec: MixerSpec, params: Params): Mixer {
  switch (spec.kind) {
    case 'mamba':
      return new Mamba(spec, params)
    case 'bidirectional':
      return new Bidirectional(spec, params)
    default:
      return spec satisfies never
  }
}
