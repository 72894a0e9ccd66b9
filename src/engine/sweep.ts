import { oneSegment, type Segments } from '../backends/segments.js'
import type { MixerState } from '../layers/mixers/mixer.js'
import type { Chunk, Input } from './chunk.js'
import { reverseNumbers } from './memory.js'
import { type Network, type NetworkState, stateTensors } from './network.js'
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
 * that reads both ways is swept twice: right to left, to learn the reverse state at every cut; then left to right, with the carried forward
 * state and the kept reverse one. `reading` gets rows in reading order; a chunk is done whenever this yields.
 */
export async function* sweep(
  network: Network,
  input: Input,
  cuts: number[],
  place: SpoolPlace,
  reading: Observer,
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
    yield* sweepOver(network, input, cuts, reading, state, kept as Kept)
  } finally {
    b.release(...stateTensors(state))
    await kept.stream?.close()
    await kept.borders?.close()
  }
}

interface Kept {
  /** The residual stream of every chunk. */
  stream: Spool
  /** The reverse state at every cut. */
  borders: Spool
}

async function* sweepOver(
  network: Network,
  input: Input,
  cuts: number[],
  reading: Observer,
  state: NetworkState,
  { stream, borders }: Kept,
): AsyncGenerator<void> {
  const b = network.backend
  const last = cuts.length - 2
  const segments: Segments[] = []
  for (let c = 0; c <= last; c++) {
    const [from, to] = [cuts[c], cuts[c + 1]]
    const tokens = oneSegment(to - from, from, c === last, 0)
    const entered = await network.enter(network.slice(input, from, to), tokens, state, reading.onHidden)
    await stream.put(c, entered.x)
    segments.push(entered.segments)
    b.release(entered.x)
    yield
  }

  for (const [i, block] of network.blocks.entries()) {
    const { forward, reverse } = state.blocks[i]
    const names = Object.keys(reverse ?? {})
    if (reverse) {
      for (let c = last; c > 0; c--) {
        const [x] = await stream.get(c)
        stream.expect(c - 1)
        await block.scanReverse(b, x, segments[c], reverse)
        b.release(x)
        await borders.put(c - 1, ...names.map((name) => reverse[name]))
        yield
      }
    }
    for (let c = 0; c <= last; c++) {
      const border = reverse && c < last ? await borders.get(c) : []
      const kept: MixerState = Object.fromEntries(border.map((tensor, n) => [names[n], tensor]))
      const [x] = await stream.get(c)
      if (c < last) stream.expect(c + 1)
      if (reverse && c + 1 < last) borders.expect(c + 1)
      const directions = { forward, reverse: c < last ? reverse && kept : reverse }
      const out = await network.runBlock(i, x, segments[c], directions, reading.onHidden)
      b.release(...border)
      await stream.put(c, out)
      b.release(out)
      yield
    }
  }
  for (let c = 0; c <= last; c++) {
    const [x] = await stream.get(c)
    if (c < last) stream.expect(c + 1)
    const hidden = await network.leave(x, segments[c], reading.onHidden)
    await reading.onRows(hidden, segments[c])
    b.release(hidden)
    yield
  }
}
