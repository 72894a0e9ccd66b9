import type { Backend, FloatArray, Tensor } from '../backends/backend.js'
import type { Segments } from '../backends/segments.js'
import { Block, type BlockState } from '../layers/block.js'
import { isCausal } from '../layers/mixers/registry.js'
import { Params } from '../layers/params.js'
import { stem, stride } from '../layers/stem.js'
import type { ModelSpec } from '../spec.js'
import type { Input } from './chunk.js'

/** What a network carries from chunk to chunk, for each slot. */
export interface NetworkState {
  /** One per stem convolution: [slots window, D_in]. */
  stem: Tensor[]
  blocks: BlockState[]
}

/** Sees rows [T', D] of a chunk and whose they are, in reading order. */
export type OnRows = (rows: Tensor, segments: Segments) => Promise<void>

/** The same for hidden states, counted as the layout's official code counts them (spec.hidden_states). */
export type OnHidden = (index: number, hidden: Tensor, segments: Segments) => Promise<void>

/** Blocks from .. to - 1 of a model. */
export interface BlockRange {
  from: number
  to: number
}

/**
 * A model on a backend, or some of its blocks: token ids (or rows) of a chunk in, rows of the final norm out. Blocks without those before
 * them read the residual stream, and without those after them give it. Knows no file format and no model family.
 */
export class Network {
  readonly blocks: Block[]
  readonly causal: boolean
  private readonly params: Params

  constructor(
    readonly backend: Backend,
    readonly spec: ModelSpec,
    tensors: Map<string, Tensor>,
    readonly range: BlockRange = { from: 0, to: spec.blocks.length },
  ) {
    this.params = new Params(tensors)
    this.blocks = spec.blocks.map((block, i) => new Block(block, spec.norm, this.params.within(`blocks.${i}`)))
    this.causal = isCausal(spec)
  }

  get first(): boolean {
    return this.range.from === 0
  }

  get last(): boolean {
    return this.range.to === this.blocks.length
  }

  /** Input tokens per row of the residual stream; a cut inside a sequence falls on a multiple of it. */
  get stride(): number {
    return this.first ? this.spec.stem.reduce((product, { stride }) => product * stride, 1) : 1
  }

  /** Rows of an input. */
  length(input: Input): number {
    return input.length / this.numbersPerRow(input)
  }

  /** Rows from .. to - 1 of an input, a view. */
  slice(input: Input, from: number, to: number): Input {
    const numbers = this.numbersPerRow(input)
    return input.subarray(from * numbers, to * numbers)
  }

  zeroState(slots: number): NetworkState {
    let width = this.spec.d_embed
    const stems = this.spec.stem.map(({ window, d_out }) => {
      const state = this.backend.zeros(slots * window, width)
      width = d_out
      return state
    })
    return { stem: stems, blocks: this.blocks.map((block) => block.zeroState(this.backend, slots)) }
  }

  /** Embedding and stem: input of T token rows -> residual stream [T', D]. */
  async enter(
    input: Input,
    segments: Segments,
    state: NetworkState | null,
    onHidden?: OnHidden,
  ): Promise<{ x: Tensor; segments: Segments }> {
    const b = this.backend
    if (!this.first) return { x: b.upload(input, this.length(input), this.spec.d_model), segments }
    const x =
      input instanceof Int32Array
        ? b.embedRows(input, this.params.get('embedding.weight'))
        : b.upload(input, this.length(input), this.spec.d_embed)
    let rows = { x: this.multiplied(x, this.spec.embedding_multiplier), segments }
    for (const [i, spec] of this.spec.stem.entries()) {
      const next = await stem(b, spec, this.params.within(`stem.${i}`), rows.x, rows.segments, state?.stem[i] ?? null)
      b.release(rows.x)
      rows = next
    }
    if (this.spec.hidden_states.embedding) await onHidden?.(0, rows.x, rows.segments)
    return rows
  }

  /** The segments of a chunk behind the stem. */
  entered(segments: Segments): Segments {
    return this.spec.stem.reduce((entered, { stride: by }) => stride(entered, by), segments)
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

  /** Final norm, if there is one: x [T', D] -> [T', D]; x is released. */
  async leave(x: Tensor, segments: Segments, onHidden?: OnHidden): Promise<Tensor> {
    if (!this.last) return x
    const { embedding, listed, final } = this.spec.hidden_states
    const { norm } = this.spec
    const [weight, bias] = ['weight', 'bias'].map((name) => this.params.optional(`norm_f.${name}`))
    const hidden = norm ? this.backend.norm(x, norm, weight, bias) : x
    if (final) await onHidden?.(embedding ? listed + 1 : listed, hidden, segments)
    if (hidden !== x) this.backend.release(x)
    return hidden
  }

  /** T rows of a chunk through all blocks -> rows [T', D]; `state` is updated in place. */
  async forward(
    input: Input,
    segments: Segments,
    state: NetworkState | null,
    onHidden?: OnHidden,
  ): Promise<{ x: Tensor; segments: Segments }> {
    const entered = await this.enter(input, segments, state, onHidden)
    let { x } = entered
    for (let i = this.range.from; i < this.range.to; i++) {
      x = await this.runBlock(i, x, entered.segments, state?.blocks[i] ?? null, onHidden)
    }
    return { x: await this.leave(x, entered.segments, onHidden), segments: entered.segments }
  }

  /** When the rows of this hidden state come: 0 before all blocks, i behind the i-th; behind the final norm (absent) at one more than there are. */
  stepOf(index?: number): number {
    const { embedding, listed } = this.spec.hidden_states
    const block = index === undefined ? listed : embedding ? index - 1 : index
    return block < listed ? block + 1 : this.blocks.length + 1
  }

  /** Whether the rows of this hidden state (absent: of the final norm) come from these blocks. */
  gives(index?: number): boolean {
    const step = this.stepOf(index)
    if (step === 0) return this.first
    return step > this.blocks.length ? this.last : step > this.range.from && step <= this.range.to
  }

  /** Output layer: rows [S, D] -> logits [S, V, or labels]. */
  async head(rows: Tensor): Promise<Tensor> {
    const { head } = this.spec
    const tied = head?.kind === 'tokens' && head.tied
    const weight = this.params.get(tied ? 'embedding.weight' : 'head.weight')
    const logits = await this.backend.linear(rows, weight, { bias: this.params.optional('head.bias') })
    return this.multiplied(logits, head?.kind === 'tokens' ? head.multiplier : undefined)
  }

  /** x times a number, if there is one; x is released. */
  private multiplied(x: Tensor, factor: number | undefined): Tensor {
    if (factor === undefined) return x
    const y = this.backend.scale(x, factor)
    this.backend.release(x)
    return y
  }

  private numbersPerRow(input: Input): number {
    if (!this.first) return this.spec.d_model
    return input instanceof Int32Array ? 1 : this.spec.d_embed
  }
}

/** The numbers of tensors, one after the other. */
export async function downloaded(b: Backend, tensors: readonly Tensor[]): Promise<FloatArray[]> {
  const arrays: FloatArray[] = []
  for (const tensor of tensors) arrays.push(await b.download(tensor))
  return arrays
}

/** All tensors of a state, in the order of the forward pass. */
export function stateTensors({ stem, blocks }: NetworkState): Tensor[] {
  return [...stem, ...blocks.flatMap(blockTensors)]
}

/** Those of a block. */
export const blockTensors = (block: BlockState): Tensor[] =>
  Object.values(block).flatMap((state) => Object.values(state))

/** Puts the numbers that `blockTensors` had into a state of the same slots; caches may have grown meanwhile. */
export function restoreBlock(b: Backend, block: BlockState, numbers: readonly FloatArray[]): void {
  let i = 0
  for (const state of Object.values(block))
    for (const [name, old] of Object.entries(state)) {
      const data = numbers[i++]
      if (data.length === old.rows * old.cols) b.write(old, data)
      else {
        b.release(old)
        state[name] = b.upload(data, old.rows, data.length / old.rows)
      }
    }
}
