import type { Backend, FloatArray } from './backends/backend.js'
import { type Device, openBackend } from './backends/open.js'
import { modelFolder } from './checkpoints/catalogue.js'
import { openCheckpoint } from './checkpoints/open.js'
import { type Input, type OnRows, piece } from './engine/chunk.js'
import { Network, type OnHidden } from './engine/network.js'
import { Runner } from './engine/runner.js'
import { exitCodes, UserError } from './errors.js'
import { uploadWeights } from './layers/params.js'
import { mergeHidden, mergeLogits, reverseComplementIds } from './layers/reverse-complement.js'
import { firstNotFinite } from './runtime/numbers.js'
import type { ModelSpec } from './spec.js'
import { loadState, type ModelState, saveState } from './state.js'
import { concatenate } from './tasks/concatenate.js'
import { Readout } from './tasks/readout.js'

export interface OpenOptions {
  /** Default: auto, which is cpu. */
  device?: 'auto' | Device
  /** Tokens computed at a time: memory and speed, never the result. Rounded up to a multiple of the model's stride. */
  chunk?: number
}

export interface ForwardOptions {
  /** The state that an earlier call on the tokens before these has given; causal models only. */
  state?: ModelState
  logits?: 'all' | 'last' | 'none'
  hidden?: 'none' | 'last' | 'all'
}

export interface ForwardResult {
  /** [L, V], or [V] for `last`; of a classifier [labels]. Absent for `none` and for a model without a head. */
  logits?: Float32Array
  /** `last`: [L', D] after the final norm. `all`: one of these for each entry of the official code's hidden states. */
  hidden?: Float32Array | Float32Array[]
  /** To go on from; absent for a model that needs its sequence whole, or where L is no multiple of the model's stride. */
  state?: ModelState
}

/** Rows per chunk where the caller does not say. */
const defaultChunk = 2048

/**
 * Opens a bundled model by its name, or any model folder, of any layout (checkpoints/layouts.ts).
 * Errors: UserError with exit code 69 when it cannot be had or is broken, 2 for a chunk that is no number of tokens.
 */
export async function openModel(nameOrFolder: string, options: OpenOptions = {}): Promise<Model> {
  const { device = 'auto', chunk = defaultChunk } = options
  if (!(Number.isSafeInteger(chunk) && chunk >= 1))
    throw new UserError(`chunk is ${chunk}, expected a whole number above 0`, exitCodes.usage)
  const { spec, weights } = await openCheckpoint(await modelFolder(nameOrFolder))
  const backend = await openBackend(device === 'auto' ? 'cpu' : device)
  const network = new Network(backend, spec, uploadWeights(backend, weights))
  return new Model(network, Math.ceil(chunk / network.stride) * network.stride)
}

/** A model on a backend. One call at a time; `close` when done. */
export class Model {
  private readonly backend: Backend
  private readonly causal: boolean
  private closed = false

  constructor(
    private readonly network: Network,
    private readonly chunk: number,
  ) {
    this.backend = network.backend
    this.causal = !network.bidirectional && !network.spec.reverse_complement && network.spec.head?.kind !== 'classes'
  }

  get spec(): ModelSpec {
    return this.network.spec
  }

  /**
   * Token ids [L]; of a model whose input is no tokens float32 rows [L, d_embed]. Errors: UserError with exit code 65 for what the model does
   * not read, 2 for a state it cannot take and for a model that was closed.
   */
  async forward(input: Input, options: ForwardOptions = {}): Promise<ForwardResult> {
    const { logits = 'all', hidden = 'none', state } = options
    if (this.closed) throw new UserError('the model was closed: open it again', exitCodes.usage)
    this.check(input, state)
    const rc = this.spec.reverse_complement
    if (!rc) return this.run(input, logits, hidden, state)
    const ids = input as Int32Array
    // Row t of one strand meets row L - 1 - t of the other, so both are needed whole.
    const every = logits === 'none' ? 'none' : 'all'
    const g = await this.run(ids, every, hidden)
    const r = await this.run(reverseComplementIds(ids, rc.complement), every, hidden)
    return mergeStrands(g, r, this.spec, logits)
  }

  /** Frees the backend; the model is not used again. Closing it once more does nothing. */
  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    await this.backend.close()
  }

  private async run(
    input: Input,
    logits: 'all' | 'last' | 'none',
    hidden: 'none' | 'last' | 'all',
    state?: ModelState,
  ): Promise<ForwardResult> {
    const { network, backend } = this
    const { head } = network.spec
    const L = network.length(input)
    const rows = Math.ceil(L / network.stride)
    const carries = this.causal && L % network.stride === 0
    const pool = head?.kind === 'classes' ? head.pool : 'last'
    const readout = head?.kind === 'classes' || logits === 'last' ? new Readout(backend, pool) : null
    const scores: FloatArray[] = []
    const final: FloatArray[] = []
    const listed: FloatArray[][] = []
    let seen = 0
    const onRows: OnRows = async (x, segments) => {
      seen += x.rows
      if (hidden === 'last') final.push(await backend.download(x))
      if (!head || logits === 'none') return
      const read = readout ? await readout.push(x, { ...segments, goesOn: seen < rows }) : x
      if (!read) return
      const scored = await network.head(read)
      scores.push(await backend.download(scored))
      backend.release(scored, read === x ? null : read)
    }
    const onHidden: OnHidden = async (index, x) => {
      listed[index] ??= []
      listed[index].push(await backend.download(x))
    }

    const runner = new Runner(network, this.chunk, state && loadState(backend, state, network.spec))
    const segments = { ...piece(0, L, L), continues: state !== undefined, goesOn: carries }
    const result: ForwardResult = {}
    try {
      await runner.run({ input, segments }, onRows, hidden === 'all' ? onHidden : undefined)
      if (carries) result.state = await saveState(backend, runner.state)
    } finally {
      network.releaseState(runner.state)
    }
    if (scores.length > 0) result.logits = concatenate(scores)
    if (hidden === 'last') result.hidden = concatenate(final)
    if (hidden === 'all') result.hidden = listed.map(concatenate)
    return result
  }

  private check(given: Input, state: ModelState | undefined): void {
    const { input, d_embed } = this.spec
    if (input.kind === 'tokens') checkIds(given, input.vocab_size)
    else checkRows(given, d_embed)
    if (state && !this.causal)
      throw new UserError('this model needs its sequence whole: it takes no state', exitCodes.usage)
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

function mergeStrands(
  g: ForwardResult,
  r: ForwardResult,
  spec: ModelSpec,
  logits: 'all' | 'last' | 'none',
): ForwardResult {
  const merged: ForwardResult = {}
  if (g.logits && r.logits) {
    const all = mergeLogits(g.logits, r.logits, spec)
    merged.logits = logits === 'last' ? all.slice(-spec.reverse_complement!.complement.length) : all
  }
  const { hidden } = g
  if (Array.isArray(hidden))
    merged.hidden = hidden.map((rows, i) => mergeHidden(rows, r.hidden![i] as Float32Array, spec, i))
  else if (hidden) merged.hidden = mergeHidden(hidden, r.hidden as Float32Array, spec, spec.blocks.length)
  return merged
}
