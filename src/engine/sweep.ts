import type { Tensor } from '../backends/backend.js'
import { type Direction, oneSegment, type Segments } from '../backends/segments.js'
import type { MixerState } from '../layers/mixers/mixer.js'
import type { Chunk } from './chunk.js'
import { reverseNumbers } from './memory.js'
import type { Neighbour, Neighbours } from './neighbour.js'
import { downloaded, type Network, type NetworkState, stateTensors } from './network.js'
import type { Observer } from './reader.js'
import { openSpool, type Spool, type SpoolPlace } from './spool.js'

/** How much is computed at a time, and what may stay on the device meanwhile. */
export interface CutLimits {
  /** Rows, a multiple of the network's stride. */
  chunk: number
  /** Of the largest residual stream that may; default: none. */
  streamBytes?: number
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
  neighbours: Neighbours = {},
): AsyncGenerator<void> {
  const b = network.backend
  const state = network.zeroState(1)
  const kept: Partial<Kept> = {}
  try {
    const longest = Math.max(...cuts.slice(1).map((cut, c) => cut - cuts[c]))
    const blocks = cuts.length - 1
    const numbers = Math.ceil(longest / network.stride) * network.spec.d_model
    kept.stream = await openSpool(b, { blocks, numbers }, place)
    kept.borders = await openSpool(b, { blocks, numbers: reverseNumbers(network.spec) }, place)
    yield* new Sweep(network, state, kept as Kept, reading, neighbours).run(chunk, cuts)
  } finally {
    b.release(...stateTensors(state))
    await kept.stream?.close()
    await kept.borders?.close()
  }
}

interface Kept {
  /** The residual stream of every chunk. */
  stream: Spool
  /** The state at the cut where the first direction of a layer comes into each chunk. */
  borders: Spool
}

class Sweep {
  private readonly segments: Segments[] = []
  /** What is read, as steps of the network. */
  private readonly read: readonly number[]

  constructor(
    private readonly network: Network,
    private readonly state: NetworkState,
    private readonly kept: Kept,
    private readonly reading: Observer,
    private readonly neighbours: Neighbours,
  ) {
    this.read = reading.layers.map((layer) => network.stepOf(layer))
  }

  async *run({ input, segments: { start, ends } }: Chunk, cuts: number[]): AsyncGenerator<void> {
    const { network, state, kept, reading, neighbours } = this
    const b = network.backend
    await this.arrive(0, neighbours.left, state.stem)
    for (const [c, from] of cuts.slice(0, -1).entries()) {
      const to = cuts[c + 1]
      const tokens = oneSegment(to - from, start[0] + from, c === cuts.length - 2 && ends[0] === 1, 0)
      const entered = await network.enter(network.slice(input, from, to), tokens, state, reading.onHidden)
      await kept.stream.put(c, entered.x)
      this.segments.push(entered.segments)
      b.release(entered.x)
      yield
    }
    await this.leave(0, neighbours.right, state.stem)

    // Nothing is computed that nobody reads.
    const steps = Math.max(...this.read)
    for (let i = 0; i < Math.min(steps, network.blocks.length); i++) yield* this.layer(i)
    if (steps <= network.blocks.length) return
    for (const c of this.order('forward')) {
      const x = await this.next(c, 'forward')
      const hidden = await network.leave(x, this.segments[c], reading.onHidden)
      await reading.onRows(hidden, this.segments[c])
      b.release(hidden)
      yield
    }
  }

  private async *layer(i: number): AsyncGenerator<void> {
    const { network, kept, reading, neighbours } = this
    const b = network.backend
    const state = this.state.blocks[i]
    const outwards = neighbours.right && !this.read.includes(i + 1)
    const [first, last]: Direction[] = state.reverse && outwards ? ['forward', 'reverse'] : ['reverse', 'forward']
    const before = state[first]
    if (before) {
      await this.arrive(i + 1, this.from(first), Object.values(before))
      for (const c of this.order(first)) {
        await kept.borders.put(c, ...Object.values(before))
        // Behind it nobody asks.
        if (c === this.order(last)[0] && !this.from(last)) break
        const x = await this.next(c, first)
        await network.blocks[i].carry(b, x, this.segments[c], first, before)
        b.release(x)
        yield
      }
      await this.leave(i + 1, this.from(last), Object.values(before))
    }
    const carried = state[last]!
    await this.arrive(i + 1, this.from(last), Object.values(carried))
    for (const c of this.order(last)) {
      const border = before ? await kept.borders.get(c) : []
      const names = Object.keys(before ?? {})
      const at: MixerState = Object.fromEntries(border.map((tensor, n) => [names[n], tensor]))
      const x = await this.next(c, last)
      if (before) this.expect(kept.borders, c, last)
      const directions = { [last]: carried, ...(before && { [first]: at }) }
      const out = await network.runBlock(i, x, this.segments[c], directions, reading.onHidden)
      b.release(...border)
      await kept.stream.put(c, out)
      b.release(out)
      yield
    }
    await this.leave(i + 1, this.from(first), Object.values(carried))
  }

  /** The chunks in the order in which a direction reads them. */
  private order(direction: Direction): number[] {
    const chunks = [...this.segments.keys()]
    return direction === 'forward' ? chunks : chunks.reverse()
  }

  /** The residual stream of chunk c; that of the chunk behind it is fetched meanwhile. */
  private async next(c: number, direction: Direction): Promise<Tensor> {
    const [x] = await this.kept.stream.get(c)
    this.expect(this.kept.stream, c, direction)
    return x
  }

  private expect(spool: Spool, c: number, direction: Direction): void {
    const next = direction === 'forward' ? c + 1 : c - 1
    if (next >= 0 && next < this.segments.length) spool.expect(next)
  }

  /** Where a direction comes from. */
  private from(direction: Direction): Neighbour | undefined {
    return direction === 'forward' ? this.neighbours.left : this.neighbours.right
  }

  private async arrive(step: number, neighbour: Neighbour | undefined, tensors: Tensor[]): Promise<void> {
    if (!neighbour) return
    const numbers = await neighbour.receive(step)
    for (const [i, tensor] of tensors.entries()) this.network.backend.write(tensor, numbers[i])
  }

  private async leave(step: number, neighbour: Neighbour | undefined, tensors: Tensor[]): Promise<void> {
    neighbour?.send(step, await downloaded(this.network.backend, tensors))
  }
}
