import type { FloatArray } from '../backends/backend.js'
import { pieceOf, type Segments } from '../backends/segments.js'
import { concatenate } from '../runtime/concatenate.js'
import type { Chunk } from './chunk.js'
import { tokensPerRow } from './footprint.js'
import { KeptSweep } from './kept-sweep.js'
import { staysOnDevice } from './memory.js'
import type { Neighbours } from './neighbour.js'
import { blockTensors, downloaded, type Network, type NetworkState, restoreBlock, stateTensors } from './network.js'
import type { Output, Read } from './outputs.js'
import { Reader, type Reading } from './reader.js'
import type { SpoolPlace } from './spool.js'
import { loadState, type ModelState, saveState } from './state.js'
import { ofMerged, runBothStrands } from './strands.js'
import { type CutLimits, cutsOf, refuseSeveral, runTogether, sweep } from './sweep.js'

export interface SessionOptions extends CutLimits {
  outputs: readonly Output[]
  /** Cut sequences that may be under way at once, each in a slot of its own; default 1. */
  slots?: number
  /** Special tokens at the end of each sequence, of which nothing is read; default 0. */
  appended?: number
}

/** Where sequences that are cut stand, on the host, to the bit: of a network, or of some of its blocks. */
export interface Snapshot {
  /** Tokens of the sequence in each slot so far. */
  positions: number[]
  stem: FloatArray[]
  /** What each block carries; nothing of those that run elsewhere. */
  blocks: FloatArray[][]
  /** What is carried of each output; null: nothing is, or elsewhere. */
  carries: (FloatArray | null)[]
}

/** Those of the parts of a network, in order, as one. */
export const joinedSnapshot = (parts: readonly Snapshot[]): Snapshot => ({
  ...parts[0],
  blocks: parts[0].blocks.map((_, i) => parts.flatMap(({ blocks }) => blocks[i])),
  carries: parts[0].carries.map(
    (_, i) => parts.map(({ carries }) => carries[i]).find((carry) => carry !== null) ?? null,
  ),
})

/** What a chunk gave: what was read for each output and, where blocks follow, the residual stream for them. */
export interface Pushed {
  reads: Read[]
  stream: Chunk | null
}

/**
 * A network at work on sequences: the one way to run a model. Chunks are pushed in order. The state of a sequence that is cut over several
 * stays on the device, in the slot that its segments name. A whole sequence that is longer than a chunk is streamed through a causal
 * network, and swept through a bidirectional one: the result is the same whatever the cut.
 */
export class Session {
  private state: NetworkState | null = null
  /** Rows of the sequence in each slot so far. */
  private readonly positions: Float64Array
  private readonly reader: Reader

  constructor(
    readonly network: Network,
    private readonly options: SessionOptions,
  ) {
    const { chunk, outputs, slots = 1, appended = 0 } = options
    if (chunk % network.stride !== 0) throw new Error(`chunk ${chunk} is no multiple of the stride ${network.stride}`)
    this.positions = new Float64Array(slots)
    this.reader = new Reader(network, outputs, slots, appended)
  }

  /** Errors: UserError with exit code 65 for a cut sequence where an output needs it whole. */
  async push(chunk: Chunk): Promise<Pushed> {
    const { network, options } = this
    const { slot } = chunk.segments
    if (slot.every((s) => s < 0)) return { reads: await joinedReads(this.parts(chunk)), stream: null }
    if (!network.causal || network.spec.reverse_complement) throw new Error('this network needs whole sequences')
    this.state ??= network.zeroState(this.positions.length)
    this.advance(chunk.segments)
    const reading = this.reader.begin(slot.length, chunk.targets)
    const stream = await runCut(network, chunk, options.chunk, this.state, reading)
    return { reads: reading.take(), stream }
  }

  /**
   * What is read of whole sequences; of one that is longer than a chunk as it comes, in parts, with at least one at the end. `neighbours`: the
   * other half of the sequence, if this is only one of two; what is pooled comes with the second. Errors: see `push`; 73 and 74 for a folder
   * that does not take what would else take memory.
   */
  async *parts(
    chunk: Chunk,
    { neighbours, ...where }: Pick<SpoolPlace, 'folder' | 'kept'> & { neighbours?: Neighbours } = {},
  ): AsyncGenerator<Read[]> {
    const { network } = this
    const { outputs, appended = 0, chunk: limit, half } = this.options
    const both = network.spec.reverse_complement !== undefined
    const toRead = both ? outputs.map((output) => ofMerged(output, network.spec)) : outputs
    const reader = new Reader(network, toRead, 1, appended)
    const { left, right } = neighbours ?? {}
    const before = left && (() => left.receive(carriedStep))
    const reading = reader.begin(chunk.segments.ends.length, chunk.targets, before)
    const tokens = network.length(chunk.input)
    const onDevice = staysOnDevice(network.spec, this.options, tokens, { half, outputs: outputs.length })
    const place = { onDevice, half, ...where }
    const steps = both
      ? runBothStrands(network, chunk, outputs, limit, place, reading, neighbours)
      : runWhole(network, chunk, limit, place, reading, neighbours)
    try {
      let any = false
      for await (const _ of steps) {
        const reads = reading.take()
        if (reads.every(({ data }) => data.length === 0)) continue
        any = true
        yield reads
      }
      right?.send(carriedStep, await reader.carried())
      if (!any) yield reading.take()
    } finally {
      reader.close()
    }
  }

  /** A session that goes on from where this one stands, by itself. */
  async fork(): Promise<Session> {
    const twin = new Session(this.network, this.options)
    if (this.state) twin.restore(await this.snapshot())
    return twin
  }

  /** Where it stands, of the blocks of its network. */
  async snapshot(): Promise<Snapshot> {
    const { network, positions } = this
    const { backend, range } = network
    this.state ??= network.zeroState(positions.length)
    const { stem, blocks } = this.state
    const ofBlocks: FloatArray[][] = []
    for (const [i, block] of blocks.entries())
      ofBlocks.push(i >= range.from && i < range.to ? await downloaded(backend, blockTensors(block)) : [])
    return {
      positions: Array.from(positions, (rows) => rows * this.tokens),
      stem: network.first ? await downloaded(backend, stem) : [],
      blocks: ofBlocks,
      carries: await this.reader.carried(),
    }
  }

  /** Goes on from where this or another session on the same model has stood. */
  restore({ positions, stem, blocks, carries }: Snapshot): void {
    const { network } = this
    const { backend, range } = network
    this.state ??= network.zeroState(this.positions.length)
    this.positions.set(positions.map((tokens) => tokens / this.tokens))
    if (network.first) for (const [i, tensor] of this.state.stem.entries()) backend.write(tensor, stem[i])
    for (let b = range.from; b < range.to; b++) restoreBlock(backend, this.state.blocks[b], blocks[b])
    this.reader.carry(carries)
  }

  /** The state in slot 0, in the shapes of the official code; causal networks only. */
  save(): Promise<ModelState> {
    this.state ??= this.network.zeroState(this.positions.length)
    return saveState(this.network, this.state, this.positions[0])
  }

  /** Starts slot 0 from a state that `save` gave. Errors: UserError with exit code 2 for a state of another model. */
  load(saved: ModelState): void {
    this.state ??= this.network.zeroState(this.positions.length)
    loadState(this.network, this.state, saved)
    this.positions[0] = saved.position
  }

  /** Frees what the session holds on the device. */
  close(): void {
    if (this.state) this.network.backend.release(...stateTensors(this.state))
    this.state = null
    this.reader.close()
  }

  /** Of a row that it reads: after the first blocks these are rows of the residual stream. */
  private get tokens(): number {
    return this.network.first ? 1 : tokensPerRow(this.network.spec)
  }

  /** A sequence goes on where it stood, or begins. */
  private advance({ offsets, start, slot }: Segments): void {
    for (const [s, one] of slot.entries()) {
      if (one < 0) continue
      if (start[s] !== 0 && start[s] !== this.positions[one])
        throw new Error(`slot ${one} is at row ${this.positions[one]}, not at ${start[s]}`)
      this.positions[one] = start[s] + offsets[s + 1] - offsets[s]
    }
  }
}

/** What halves of a sequence tell each other when the first is read. */
const carriedStep = -1

/** Parts of the reads of one chunk as one. */
export async function joinedReads(parts: AsyncIterable<Read[]> | Iterable<Read[]>): Promise<Read[]> {
  const all: Read[][] = []
  for await (const reads of parts) all.push(reads)
  if (all.length === 1) return all[0]
  return all[0].map((_, i) => {
    const reads = all.map((part) => part[i])
    const rows = reads[0].rows.map((_, s) => reads.reduce((sum, read) => sum + read.rows[s], 0))
    const width = Math.max(...reads.map(({ width }) => width))
    return { data: concatenate(reads.map(({ data }) => data)), width, rows }
  })
}

/** Whole sequences: together if they fit, otherwise the only one in pieces, exactly. Yields when a chunk is done. */
async function* runWhole(
  network: Network,
  { input, segments }: Chunk,
  limit: number,
  place: SpoolPlace,
  reading: Reading,
  neighbours?: Neighbours,
): AsyncGenerator<void> {
  const length = network.length(input)
  const swept = async function* () {
    const saved = place.kept === undefined ? undefined : await KeptSweep.open(place.kept)
    yield* sweep(network, { input, segments }, cutsOf(length, limit), place, reading, { neighbours, saved })
  }
  if (neighbours) return yield* swept()
  if (length <= limit) return yield* runTogether(network, { input, segments }, reading)
  refuseSeveral(segments)
  const cuts = cutsOf(length, limit)
  if (!network.causal) return yield* swept()
  const state = network.zeroState(1)
  try {
    for (const [c, from] of cuts.slice(0, -1).entries()) {
      const to = cuts[c + 1]
      const piece = { input: network.slice(input, from, to), segments: pieceOf(segments, from, to, 0) }
      await runCut(network, piece, limit, state, reading)
      yield
    }
  } finally {
    network.backend.release(...stateTensors(state))
  }
}

/** Sequences with state, longer ones in pieces. Gives the residual stream where blocks follow. */
async function runCut(
  network: Network,
  { input, segments }: Chunk,
  limit: number,
  state: NetworkState,
  reading: Reading,
): Promise<Chunk | null> {
  const { backend } = network
  const length = network.length(input)
  if (length <= limit) {
    const out = await network.forward(input, segments, state, reading.onHidden)
    if (network.last) await reading.onRows(out.x, out.segments)
    const stream = network.last ? null : { input: await backend.download(out.x), segments: out.segments }
    backend.release(out.x)
    return stream
  }
  refuseSeveral(segments)
  if (!network.last) throw new Error('blocks with others after them take no more than a chunk')
  for (let from = 0; from < length; from += limit) {
    const to = Math.min(from + limit, length)
    const piece = { input: network.slice(input, from, to), segments: pieceOf(segments, from, to) }
    await runCut(network, piece, limit, state, reading)
  }
  return null
}
