import type { Tensor } from '../backends/backend.js'
import { type Direction, pieceOf, type Segments } from '../backends/segments.js'
import type { MixerState } from '../layers/mixers/mixer.js'
import type { Chunk } from './chunk.js'
import { type KeptSweep, tellAgain } from './kept-sweep.js'
import { reverseNumbers } from './memory.js'
import type { Neighbour, Neighbours } from './neighbour.js'
import { downloaded, type Network, type NetworkState, stateTensors } from './network.js'
import type { Observer } from './reader.js'
import { openSpool, type Spool, type SpoolPlace } from './spool.js'

/** How much is computed at a time, and what may stay on the device meanwhile. */
export interface CutLimits {
  /** Rows, a multiple of the network's stride. */
  chunk: number
  /** See `Plan`; default: none does. */
  deviceSpoolBytes?: number
  /** See `SpoolPlace`. */
  half?: boolean
}

/** Where a sequence is cut, its ends included; `fromEnd`: as it is cut when it is read backwards. */
export function cutsOf(length: number, chunk: number, fromEnd = false): number[] {
  const cuts = [0]
  for (let at = fromEnd ? length % chunk || chunk : chunk; at < length; at += chunk) cuts.push(at)
  return [...cuts, length]
}

/** Runs whole sequences that fit a chunk. */
export async function* runTogether(
  network: Network,
  { input, segments }: Chunk,
  reading: Observer,
): AsyncGenerator<void> {
  // Without a state the kernels need not keep it.
  const out = await network.forward(input, segments, null, reading.onHidden)
  await reading.onRows(out.x, out.segments)
  network.backend.release(out.x)
  yield
}

export function refuseSeveral({ ends }: Segments): void {
  if (ends.length !== 1) throw new Error('only a single sequence may be longer than a chunk')
}

/**
 * Runs one sequence that is cut through a network, exactly, layer by layer over a spool of the residual stream ([L', D] numbers). A layer
 * that reads both ways is swept twice: in one direction, to learn its state at every cut; then in the other, for the output, with the
 * carried state of that direction and the kept ones of the first. `reading` gets rows in reading order; a chunk is done whenever this yields.
 *
 * Of a sequence in two halves, each swept by itself, states cross the middle: both halves go inwards first, then outwards, and none waits
 * for the other but there. In a layer that is read, or that reads forward only, one goes after the other.
 */
export async function* sweep(
  network: Network,
  chunk: Chunk,
  cuts: number[],
  place: SpoolPlace,
  reading: Observer,
  { neighbours = {}, saved }: SweepOptions = {},
): AsyncGenerator<void> {
  const b = network.backend
  const state = network.zeroState(1)
  const kept: Partial<Kept> = {}
  try {
    const blocks = cuts.length - 1
    let longest = 0
    for (let c = 0; c < blocks; c++) longest = Math.max(longest, cuts[c + 1] - cuts[c])
    const open = (name: string, numbers: number, half = false) =>
      saved ? saved.spool(b, name, numbers, half) : openSpool(b, { numbers, half }, place)
    kept.stream = await open('stream', Math.ceil(longest / network.stride) * network.spec.d_model, place.half)
    kept.borders = await open('borders', reverseNumbers(network.spec))
    yield* new Sweep(network, chunk, cuts, state, kept as Kept, reading, neighbours, saved).run()
  } finally {
    b.release(...stateTensors(state))
    await kept.stream?.close()
    await kept.borders?.close()
  }
}

export interface SweepOptions {
  neighbours?: Neighbours
  /** Where the sweep is kept for another run, or goes on from one; of a single output. */
  saved?: KeptSweep
}

interface Kept {
  /** The residual stream of every chunk; where it is kept for another run, that of every second layer in blocks of its own. */
  stream: Spool
  /** The state at the cut where the first direction of a layer comes into each chunk. */
  borders: Spool
}

class Sweep {
  /** What is read, as steps of the network. */
  private readonly read: readonly number[]
  private readonly chunks: number

  constructor(
    private readonly network: Network,
    private readonly whole: Chunk,
    private readonly cuts: readonly number[],
    private readonly state: NetworkState,
    private readonly kept: Kept,
    private readonly reading: Observer,
    private readonly neighbours: Neighbours,
    private readonly saved?: KeptSweep,
  ) {
    this.read = reading.layers.map((layer) => network.stepOf(layer))
    this.chunks = cuts.length - 1
  }

  async *run(): AsyncGenerator<void> {
    const { network, reading, neighbours, saved } = this
    const b = network.backend
    if (saved) tellAgain(saved, neighbours)
    if (this.lacks(0, 'last')) yield* this.enter()

    // Nothing is computed that nobody reads.
    const steps = Math.max(...this.read)
    for (let i = 0; i < Math.min(steps, network.blocks.length); i++) yield* this.layer(i)
    if (steps <= network.blocks.length) return
    for (const c of this.order('forward')) {
      const x = await this.next(network.blocks.length, c, 'forward')
      const segments = this.rows(c)
      const hidden = await network.leave(x, segments, reading.onHidden)
      await reading.onRows(hidden, segments)
      b.release(hidden)
      yield
    }
  }

  private async *enter(): AsyncGenerator<void> {
    const { network, cuts, state, neighbours } = this
    await this.arrive(0, neighbours.left, state.stem)
    for (const c of this.order('forward')) {
      const part = network.slice(this.whole.input, cuts[c], cuts[c + 1])
      const { x } = await network.enter(part, this.tokens(c), state, this.reading.onHidden)
      await this.kept.stream.put(this.block(0, c), x)
      network.backend.release(x)
      yield
    }
    await this.over(0, 'last', neighbours.right, state.stem)
  }

  private async *layer(i: number): AsyncGenerator<void> {
    const { network, kept, reading, neighbours } = this
    const b = network.backend
    const state = this.state.blocks[i]
    const step = i + 1
    const outwards = neighbours.right && !this.read.includes(step)
    const [first, last]: Direction[] = state.reverse && outwards ? ['forward', 'reverse'] : ['reverse', 'forward']
    const before = state[first]
    if (before && this.lacks(step, 'first')) {
      await this.arrive(step, this.from(first), Object.values(before))
      const order = this.order(first)
      for (const c of order) {
        await kept.borders.put(c, ...Object.values(before))
        // Behind it nobody asks.
        if (c === order[order.length - 1] && !this.from(last)) break
        const x = await this.next(i, c, first)
        await network.blocks[i].carry(b, x, this.rows(c), first, before)
        b.release(x)
        yield
      }
      await this.over(step, 'first', this.from(last), Object.values(before))
    }
    if (!this.lacks(step, 'last')) return
    const carried = state[last]!
    const names = Object.keys(before ?? {})
    await this.arrive(step, this.from(last), Object.values(carried))
    for (const c of this.order(last)) {
      const border = before ? await kept.borders.get(c) : []
      const at: MixerState = Object.fromEntries(border.map((tensor, n) => [names[n], tensor]))
      const x = await this.next(i, c, last)
      if (before) this.expect(kept.borders, (each) => each, c, last)
      const directions = { [last]: carried, ...(before && { [first]: at }) }
      const out = await network.runBlock(i, x, this.rows(c), directions, reading.onHidden)
      b.release(...border)
      await kept.stream.put(this.block(step, c), out)
      b.release(out)
      yield
    }
    await this.over(step, 'last', this.from(first), Object.values(carried))
  }

  /** The segment of chunk c on entering; a chromosome has too many chunks to keep them. */
  private tokens(c: number): Segments {
    const { cuts, whole } = this
    return pieceOf(whole.segments, cuts[c], cuts[c + 1], 0)
  }

  /** The same behind the stem. */
  private rows(c: number): Segments {
    return this.network.entered(this.tokens(c))
  }

  /** The block of the stream of chunk c behind so many layers. */
  private block(layers: number, c: number): number {
    return this.saved ? (layers % 2) * this.chunks + c : c
  }

  /** The chunks in the order in which a direction reads them. */
  private order(direction: Direction): number[] {
    const chunks = [...Array(this.chunks).keys()]
    return direction === 'forward' ? chunks : chunks.reverse()
  }

  /** The residual stream of chunk c behind so many layers; that of the next one is fetched meanwhile. */
  private async next(layers: number, c: number, direction: Direction): Promise<Tensor> {
    const { stream } = this.kept
    const [x] = await stream.get(this.block(layers, c))
    this.expect(stream, (each) => this.block(layers, each), c, direction)
    return x
  }

  private expect(spool: Spool, blockOf: (c: number) => number, c: number, direction: Direction): void {
    const next = direction === 'forward' ? c + 1 : c - 1
    if (next >= 0 && next < this.chunks) spool.expect(blockOf(next))
  }

  /** Where a direction comes from. */
  private from(direction: Direction): Neighbour | undefined {
    return direction === 'forward' ? this.neighbours.left : this.neighbours.right
  }

  private async arrive(step: number, neighbour: Neighbour | undefined, tensors: Tensor[]): Promise<void> {
    if (!neighbour) return
    const numbers = await neighbour.receive(step)
    for (const [i, tensor] of tensors.entries()) this.network.backend.write(tensor, numbers[i]!)
    this.saved?.heard(step)
  }

  /** Whether an earlier run has not done this pass. */
  private lacks(step: number, pass: Pass): boolean {
    return (this.saved?.done ?? 0) < passesUpTo(step, pass)
  }

  /** A pass is over; where it goes on into the other half, that is told its state. */
  private async over(step: number, pass: Pass, neighbour: Neighbour | undefined, tensors: Tensor[]): Promise<void> {
    const { chunks } = this
    // What was read does not wait on the disk: such a pass is done again.
    const saved = this.read.includes(step) ? undefined : this.saved
    const sent = neighbour && { step, numbers: await downloaded(this.network.backend, tensors) }
    if (saved) {
      if (sent) saved.tells(sent)
      const from = this.block(pass === 'first' ? step - 1 : step, 0)
      const stream: [number, number] = [from, from + chunks]
      await saved.save(passesUpTo(step, pass), pass === 'first' ? { stream, borders: [0, chunks] } : { stream })
    }
    if (sent) neighbour.send(step, sent.numbers)
  }
}

/** Of a layer: the first for its states, the last for its output. */
type Pass = 'first' | 'last'

/** How many passes there are up to this one: entering is the last one of step 0. */
const passesUpTo = (step: number, pass: Pass) => 2 * step + (pass === 'last' ? 1 : 0)
