import type { Backend, Segments, Tensor } from '../backends/backend.js'
import { Block } from '../layers/block.js'
import type { BlockState } from '../layers/mixer.js'
import { Params } from '../layers/params.js'
import { stem } from '../layers/stem.js'
import type { ModelSpec } from '../spec.js'

/** What a network carries from chunk to chunk of one sequence. */
export interface NetworkState {
  /** One per stem convolution: [window, D_in]. */
  stem: Tensor[]
  blocks: BlockState[]
}

/** A hidden state in the order and meaning that the layout's official code gives (spec.hidden_states). */
export type OnHidden = (index: number, hidden: Tensor) => Promise<void>

/** A model on a backend: token ids of a chunk in, rows of the final norm out. Knows no file format and no model family. */
export class Network {
  readonly blocks: Block[]
  private readonly params: Params

  constructor(
    readonly backend: Backend,
    readonly spec: ModelSpec,
    tensors: Map<string, Tensor>,
  ) {
    this.params = new Params(tensors)
    this.blocks = spec.blocks.map((block, i) => new Block(block, spec.norm, this.params.within(`blocks.${i}`)))
  }

  get bidirectional(): boolean {
    return this.spec.blocks.some((block) => block.mixer.kind === 'bidirectional')
  }

  /** Input tokens per row of the residual stream; a cut inside a sequence falls on a multiple of it. */
  get stride(): number {
    return this.spec.stem.reduce((product, { stride }) => product * stride, 1)
  }

  zeroState(): NetworkState {
    let width = this.spec.d_embed
    const stems = this.spec.stem.map(({ window, d_out }) => {
      const state = this.backend.zeros(window, width)
      width = d_out
      return state
    })
    return { stem: stems, blocks: this.blocks.map((block) => block.zeroState(this.backend)) }
  }

  releaseState(state: NetworkState): void {
    for (const tensor of stateTensors(state)) this.backend.release(tensor)
  }

  /** Embedding and stem: ids [T] -> residual stream [T', D]. */
  async enter(
    ids: Int32Array,
    segments: Segments,
    state: NetworkState | null,
  ): Promise<{ x: Tensor; segments: Segments }> {
    const b = this.backend
    let rows = { x: b.embedRows(ids, this.params.get('embedding.weight')), segments }
    for (const [i, spec] of this.spec.stem.entries()) {
      const next = await stem(b, spec, this.params.within(`stem.${i}`), rows.x, rows.segments, state?.stem[i] ?? null)
      b.release(rows.x)
      rows = next
    }
    return rows
  }

  /** Final norm: [T', D] -> [T', D]. */
  leave(x: Tensor): Tensor {
    return this.backend.norm(x, this.spec.norm, this.params.get('norm_f.weight'), this.params.optional('norm_f.bias'))
  }

  /** ids [T] of a chunk through all layers -> hidden [T', D]; `state` is updated in place. */
  async forward(
    ids: Int32Array,
    segments: Segments,
    state: NetworkState | null,
    onHidden?: OnHidden,
  ): Promise<{ hidden: Tensor; segments: Segments }> {
    const b = this.backend
    const { embedding, blocks, listed, final } = this.spec.hidden_states
    const entered = await this.enter(ids, segments, state)
    let x = entered.x
    let index = 0
    if (embedding) await onHidden?.(index++, x)
    for (const [i, block] of this.blocks.entries()) {
      const observed = onHidden && i < listed ? onHidden : undefined
      const onMixer = observed && blocks === 'mixer' ? (mixed: Tensor) => observed(index++, mixed) : undefined
      const next = await block.forward(b, x, entered.segments, state?.blocks[i] ?? null, onMixer)
      if (observed && blocks === 'residual') await observed(index++, next)
      b.release(x)
      x = next
    }
    const hidden = this.leave(x)
    if (final) await onHidden?.(index, hidden)
    b.release(x)
    return { hidden, segments: entered.segments }
  }

  /** Output layer: rows [S, D] -> logits [S, V or labels]. */
  async head(rows: Tensor): Promise<Tensor> {
    const { head } = this.spec
    const tied = head?.kind === 'tokens' && head.tied
    const weight = this.params.get(tied ? 'embedding.weight' : 'head.weight')
    return this.backend.linear(rows, weight, { bias: this.params.optional('head.bias') })
  }
}

export function stateTensors(state: NetworkState): Tensor[] {
  return [
    ...state.stem,
    ...state.blocks.flatMap(({ forward, reverse }) => [forward, reverse].flatMap((s) => (s ? [s.conv, s.ssm] : []))),
  ]
}
