import { type Device, devices, pickDevice } from '../backends/registry.js'
import { oneSegment } from '../backends/segments.js'
import { modelFolder } from '../checkpoints/catalogue.js'
import { openCheckpoint } from '../checkpoints/open.js'
import type { Input } from '../engine/chunk.js'
import { Network } from '../engine/network.js'
import type { Output } from '../engine/outputs.js'
import { planOf } from '../engine/plan.js'
import { Session } from '../engine/session.js'
import type { ModelState } from '../engine/state.js'
import { exitCodes, UserError } from '../errors.js'
import { uploadWeights } from '../layers/params.js'
import { firstNotFinite } from '../runtime/numbers.js'
import type { ModelSpec } from '../spec.js'

export interface OpenOptions {
  /** Default: auto, which is cpu. */
  device?: 'auto' | Device
  /** Tokens computed at a time: memory and speed, never the result. Rounded up to a multiple of the model's stride. */
  chunk?: number
}

export interface ReadOptions {
  /** Default all. */
  logits?: 'all' | 'last' | 'none'
  /** Default none. */
  hidden?: 'none' | 'last' | 'all'
}

export interface ForwardOptions extends ReadOptions {
  /** The state that an earlier call on the tokens before these has given; causal models only. */
  state?: ModelState
}

export interface PushResult {
  /** [L, V], or [V] for `last`; of a classifier [labels]. Absent for `none` and for a model without a head. */
  logits?: Float32Array
  /** `last`: [L', D] after the final norm. `all`: one of these for each entry of the official code's hidden states. */
  hidden?: Float32Array | Float32Array[]
}

export interface ForwardResult extends PushResult {
  /**
   * To go on from; absent for a model that needs its sequence whole, or where L is no multiple of the model's stride.
   */
  state?: ModelState
}

/**
 * Opens a bundled model by its name, or any model folder, of any layout (checkpoints/layouts.ts).
 * Errors: UserError with exit code 69 when it cannot be had or is broken, 2 for a chunk that is no number of tokens.
 */
export async function openModel(nameOrFolder: string, options: OpenOptions = {}): Promise<Model> {
  const { device = 'auto', chunk } = options
  if (chunk !== undefined && !(Number.isSafeInteger(chunk) && chunk >= 1))
    throw new UserError(`chunk is ${chunk}, expected a whole number above 0`, exitCodes.usage)
  const { spec, weights } = await openCheckpoint(await modelFolder(nameOrFolder))
  const picked = pickDevice(device)
  const plan = planOf(spec, { device: picked, chunk, threads: 1 })
  const backend = await devices[picked].open(plan)
  const network = new Network(backend, spec, uploadWeights(backend, weights))
  return new Model(network, plan.chunk)
}

/** A model on a backend. One call at a time; `close` when done. */
export class Model {
  private closed = false

  constructor(
    private readonly network: Network,
    private readonly chunk: number,
  ) {}

  get spec(): ModelSpec {
    return this.network.spec
  }

  /**
   * Token ids [L]; of a model whose input is no tokens float32 rows [L, d_embed]. A session of one call. Errors:
   * UserError with exit code 65 for what the model does not read, 2 for a state it cannot take and for a model that was
   * closed.
   */
  async forward(input: Input, { state, ...wanted }: ForwardOptions = {}): Promise<ForwardResult> {
    const session = this.session(wanted, state)
    try {
      const result: ForwardResult = await session.push(input)
      if (session.resumable) result.state = await session.save()
      return result
    } finally {
      session.close()
    }
  }

  /**
   * A sequence that comes call by call, its state kept on the device in between: token by token, or as it is read.
   * `state`: where it goes on from. Errors: UserError with exit code 2 for a state it cannot take and for a model that
   * was closed.
   */
  session(wanted: ReadOptions = {}, state?: ModelState): ModelSession {
    if (this.closed) throw closedError()
    const session = new ModelSession(this.network, this.chunk, wanted, () => this.closed)
    try {
      if (state) session.load(state)
    } catch (error) {
      session.close()
      throw error
    }
    return session
  }

  /** Frees the backend; the model is not used again. Closing it once more does nothing. */
  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    await this.network.backend.close()
  }
}

/** See `Model.session`. One call at a time; `close` when done. */
export class ModelSession {
  private readonly outputs: Output[]
  private readonly causal: boolean
  /** Tokens so far. */
  private pushed: number

  constructor(
    private readonly network: Network,
    private readonly chunk: number,
    private readonly wanted: ReadOptions,
    private readonly isClosed: () => boolean,
    private readonly session = new Session(network, { chunk, outputs: outputsOf(network.spec, wanted) }),
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
   * Errors: UserError with exit code 65 for what the model does not read, 2 where there is no state to go on from.
   */
  async push(input: Input): Promise<PushResult> {
    if (this.isClosed()) throw closedError()
    this.check(input)
    const slot = this.causal ? 0 : -1
    const length = this.network.length(input)
    const segments = oneSegment(length, this.length, true, slot)
    const { reads } = await this.session.push({ input, segments })
    this.pushed += length
    return this.resultOf(reads.map(({ data }) => data))
  }

  /** A session that goes on from where this one stands, by itself. */
  async fork(): Promise<ModelSession> {
    if (this.isClosed()) throw closedError()
    const twin = await this.session.fork()
    return new ModelSession(this.network, this.chunk, this.wanted, this.isClosed, twin, this.pushed)
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
    else checkRows(given, d_embed)
  }

  private resultOf(values: Float32Array[]): PushResult {
    const result: PushResult = {}
    if (this.outputs[0]?.head) result.logits = values.shift()
    if (this.wanted.hidden === 'last') result.hidden = values[0]
    if (this.wanted.hidden === 'all') result.hidden = values
    return result
  }
}

function checkIds(ids: Input, V: number): void {
  if (ids instanceof Float32Array) throw new UserError('float32 rows, expected token ids (Int32Array)', exitCodes.data)
  if (ids.length === 0) throw new UserError('no token ids: expected at least one', exitCodes.data)
  const wrong = ids.findIndex((id) => id < 0 || id >= V)
  if (wrong >= 0) throw new UserError(`token id ${ids[wrong]} at ${wrong}, expected 0 to ${V - 1}`, exitCodes.data)
}

function checkRows(rows: Input, width: number): void {
  if (!(rows instanceof Float32Array) || rows.length === 0 || rows.length % width !== 0)
    throw new UserError(`${rows.length} values, expected float32 rows of ${width} (Float32Array)`, exitCodes.data)
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

const closedError = () => new UserError('the model was closed: open it again', exitCodes.usage)

function noState(causal: boolean, stride: number): UserError {
  const why = causal
    ? `what came before must be a multiple of ${stride} tokens, the stride of the model, to go on from it`
    : 'this model needs its sequence whole: it takes no state'
  return new UserError(why, exitCodes.usage)
}
