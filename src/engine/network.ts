import type { Backend, Segments, Tensor } from '../backends/backend.js'
import { Block } from '../layers/block.js'
import type { BlockState } from '../layers/mixer.js'
import { Params } from '../layers/params.js'
import { stem } from '../layers/stem.js'
import type { ModelSpec } from '../spec.js'
import type { Input } from './chunk.js'

/** What a network carries from chunk to chunk of one sequence. */
export interface NetworkState {
  /** One per stem convolution: [window, D_in]. */
  stem: Tensor[]
  blocks: BlockState[]
}

/**
 * Sees hidden states in the order and meaning that the layout's official code gives (spec.hidden_states); rows [T', D] of
 * one index arrive in reading order, chunk after chunk.
 */
export type OnHidden = (index: number, hidden: Tensor, segments: Segments) => Promise<void>

/** A model on a backend: token ids (or rows) of a chunk in, rows of the final norm out. Knows no file format and no model family. */
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

  /** Token rows of an input. */
  length(input: Input): number {
    return input.length / this.numbersPerRow(input)
  }

  /** Token rows from .. to - 1 of an input, a view. */
  slice(input: Input, from: number, to: number): Input {
    const numbers = this.numbersPerRow(input)
    return input.subarray(from * numbers, to * numbers)
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

  /** Embedding and stem: input of T token rows -> residual stream [T', D]. */
  async enter(
    input: Input,
    segments: Segments,
    state: NetworkState | null,
    onHidden?: OnHidden,
  ): Promise<{ x: Tensor; segments: Segments }> {
    const b = this.backend
    const x =
      input instanceof Float32Array
        ? b.upload(input, this.length(input), this.spec.d_embed)
        : b.embedRows(input, this.params.get('embedding.weight'))
    let rows = { x, segments }
    for (const [i, spec] of this.spec.stem.entries()) {
      const next = await stem(b, spec, this.params.within(`stem.${i}`), rows.x, rows.segments, state?.stem[i] ?? null)
      b.release(rows.x)
      rows = next
    }
    if (this.spec.hidden_states.embedding) await onHidden?.(0, rows.x, rows.segments)
    return rows
  }

  /** Block i: x [T', D] -> [T', D]; x is released. */
  async runBlock(
    i: number,
    x: Tensor,
    segments: Segments,
    state: BlockState | null,
    onHidden?: OnHidden,
  ): Promise<Tensor> {
    const { embedding, blocks, listed } = this.spec.hidden_states
    const index = embedding ? i + 1 : i
    const observed = i < listed ? onHidden : undefined
    const onMixer = observed && blocks === 'mixer' ? (mixed: Tensor) => observed(index, mixed, segments) : undefined
    const out = await this.blocks[i].forward(this.backend, x, segments, state, onMixer)
    if (blocks === 'residual') await observed?.(index, out, segments)
    this.backend.release(x)
    return out
  }

  /** Final norm: x [T', D] -> [T', D]; x is released. */
  async leave(x: Tensor, segments: Segments, onHidden?: OnHidden): Promise<Tensor> {
    const { embedding, listed, final } = this.spec.hidden_states
    const hidden = this.backend.norm(
      x,
      this.spec.norm,
      this.params.get('norm_f.weight'),
      this.params.optional('norm_f.bias'),
    )
    if (final) await onHidden?.(embedding ? listed + 1 : listed, hidden, segments)
    this.backend.release(x)
    return hidden
  }

  /** T token rows of a chunk through all layers -> hidden [T', D]; `state` is updated in place. */
  async forward(
    input: Input,
    segments: Segments,
    state: NetworkState | null,
    onHidden?: OnHidden,
  ): Promise<{ hidden: Tensor; segments: Segments }> {
    const entered = await this.enter(input, segments, state, onHidden)
    let { x } = entered
    for (let i = 0; i < this.blocks.length; i++) {
      x = await this.runBlock(i, x, entered.segments, state?.blocks[i] ?? null, onHidden)
    }
    return { hidden: await this.leave(x, entered.segments, onHidden), segments: entered.segments }
  }

  /** Output layer: rows [S, D] -> logits [S, V, or labels]. */
  async head(rows: Tensor): Promise<Tensor> {
    const { head } = this.spec
    const tied = head?.kind === 'tokens' && head.tied
    const weight = this.params.get(tied ? 'embedding.weight' : 'head.weight')
    return this.backend.linear(rows, weight, { bias: this.params.optional('head.bias') })
  }

  private numbersPerRow(input: Input): number {
    return input instanceof Float32Array ? this.spec.d_embed : 1
  }
}

export function stateTensors(state: NetworkState): Tensor[] {
  return [
    ...state.stem,
    ...state.blocks.flatMap(({ forward, reverse }) => [forward, reverse].flatMap((s) => (s ? [s.conv, s.ssm] : []))),
  ]
}
