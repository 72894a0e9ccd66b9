import { oneSegment } from '../backends/segments.js'
import type { Input } from '../engine/chunk.js'
import type { Network } from '../engine/network.js'
import type { Output } from '../engine/outputs.js'
import { Session } from '../engine/session.js'
import type { ModelState } from '../engine/state.js'
import type { CutLimits } from '../engine/sweep.js'
import { exitCodes, UserError } from '../errors.js'
import { modalitiesOf } from '../layers/mixers/registry.js'
import { firstNotFinite } from '../runtime/numbers.js'
import type { InputSpec, ModelSpec } from '../spec.js'

export interface ReadOptions {
  /** Default all. */
  logits?: 'all' | 'last' | 'none'
  /** Default none. */
  hidden?: 'none' | 'last' | 'all'
}

export interface PushOptions {
  /** What the tokens or rows stand for, of a model that tells modalities apart (mixture-of-mamba); default 0. */
  modality?: number
}

export interface PushResult {
  /** [L, V], or [V] for `last`; of a classifier [labels]. Absent for `none` and for a model without a head. */
  logits?: Float32Array
  /** `last`: [L', D] after the final norm. `all`: one of these for each entry of the official code's hidden states. */
  hidden?: Float32Array | Float32Array[]
}

/** See `Model.session`. One call at a time; `close` when done. */
export class ModelSession {
  private readonly outputs: Output[]
  private readonly causal: boolean
  /** Tokens so far. */
  private pushed: number

  constructor(
    private readonly network: Network,
    private readonly limits: CutLimits,
    private readonly wanted: ReadOptions,
    private readonly isClosed: () => boolean,
    private readonly session = new Session(network, { ...limits, outputs: outputsOf(network.spec, wanted) }),
    pushed = 0,
  ) {
    const { head, reverse_complement } = network.spec
    this.outputs = outputsOf(network.spec, wanted)
    this.pushed = pushed
    this.causal = network.causal && !reverse_complement && head?.kind !== 'classes'
  }

  /** Tokens so far. */
  get length(): number {
    return this.pushed
  }

  /** Whether there is a state to go on from: of a causal model, after a multiple of its stride. */
  get resumable(): boolean {
    return this.causal && this.length % this.network.stride === 0
  }

  /**
   * The next ids [L] or rows [L, d_embed] of the sequence; a model that needs its sequence whole takes one call.
   * Errors: UserError with exit code 65 for what the model does not read, 2 where there is no state to go on from, and for a
   * modality that it does not know.
   */
  async push(input: Input, { modality = 0 }: PushOptions = {}): Promise<PushResult> {
    if (this.isClosed()) throw closedError()
    this.check(input)
    checkModality(modality, modalitiesOf(this.network.spec))
    const slot = this.causal ? 0 : -1
    const length = this.network.length(input)
    const segments = { ...oneSegment(length, this.length, true, slot), modality: Int32Array.of(modality) }
    const { reads } = await this.session.push({ input, segments })
    this.pushed += length
    return this.resultOf(reads.map(({ data }) => data))
  }

  /** A session that goes on from where this one stands, by itself. */
  async fork(): Promise<ModelSession> {
    if (this.isClosed()) throw closedError()
    const twin = await this.session.fork()
    return new ModelSession(this.network, this.limits, this.wanted, this.isClosed, twin, this.pushed)
  }

  /**
   * The state, in the shapes of the official code, on the host. Errors: UserError with exit code 2 where there is none.
   */
  save(): Promise<ModelState> {
    if (this.isClosed()) throw closedError()
    if (!this.resumable) throw noState(this.causal, this.network.stride)
    return this.session.save()
  }

  /** Goes on from a state that `save` or `forward` gave, in a fresh session. Errors: UserError with exit code 2. */
  load(state: ModelState): void {
    if (!this.causal) throw noState(false, 1)
    this.session.load(state)
    this.pushed = state.position
  }

  /** Frees the state on the device. */
  close(): void {
    if (!this.isClosed()) this.session.close()
  }

  private check(given: Input): void {
    const { input, d_embed } = this.network.spec
    if (this.length > 0 && !this.resumable) throw noState(this.causal, this.network.stride)
    if (input.kind === 'tokens') checkIds(given, input.vocab_size)
    else checkRows(given, d_embed, input)
  }

  private resultOf(values: Float32Array[]): PushResult {
    const result: PushResult = {}
    if (this.outputs[0]?.head) result.logits = values.shift()
    if (this.wanted.hidden === 'last') result.hidden = values[0]
    if (this.wanted.hidden === 'all') result.hidden = values
    return result
  }
}

function checkModality(modality: number, known: number): void {
  if (Number.isInteger(modality) && modality >= 0 && modality < known) return
  const expected = known === 1 ? '0: the model reads all alike' : `a whole number from 0 to ${known - 1}`
  throw new UserError(`modality is ${modality}, expected ${expected}`, exitCodes.usage)
}

function checkIds(ids: Input, V: number): void {
  if (ids instanceof Float32Array) throw new UserError('float32 rows, expected token ids (Int32Array)', exitCodes.data)
  if (ids.length === 0) throw new UserError('no token ids: expected at least one', exitCodes.data)
  const wrong = ids.findIndex((id) => id < 0 || id >= V)
  if (wrong >= 0) throw new UserError(`token id ${ids[wrong]} at ${wrong}, expected 0 to ${V - 1}`, exitCodes.data)
}

function checkRows(rows: Input, width: number, { kind }: InputSpec): void {
  const audio = kind === 'log-mel' ? 'this model reads audio, call transcribe, classify or embed with paths; ' : ''
  if (!(rows instanceof Float32Array) || rows.length === 0 || rows.length % width !== 0)
    throw new UserError(
      `${audio}forward got ${rows.length} values, expected float32 rows of ${width} (Float32Array)`,
      exitCodes.data,
    )
  const wrong = firstNotFinite(rows)
  if (wrong >= 0) throw new UserError(`value ${wrong} is ${rows[wrong]}, expected finite numbers`, exitCodes.data)
}

/** Logits first, then hidden states. */
function outputsOf({ head, hidden_states }: ModelSpec, { logits = 'all', hidden = 'none' }: ReadOptions): Output[] {
  const outputs: Output[] = []
  if (head && logits !== 'none') {
    const pool = head.kind === 'classes' ? head.pool : logits === 'last' ? 'last' : undefined
    outputs.push({ head: true, pool })
  }
  const { embedding, listed, final } = hidden_states
  const count = listed + (embedding ? 1 : 0) + (final ? 1 : 0)
  if (hidden === 'last') outputs.push({})
  if (hidden === 'all') outputs.push(...Array.from({ length: count }, (_, layer) => ({ layer })))
  return outputs
}

export const closedError = () => new UserError('the model was closed: open it again', exitCodes.usage)

function noState(causal: boolean, stride: number): UserError {
  const why = causal
    ? `what came before must be a multiple of ${stride} tokens, the stride of the model, to go on from it`
    : 'this model needs its sequence whole: it takes no state'
  return new UserError(why, exitCodes.usage)
}
