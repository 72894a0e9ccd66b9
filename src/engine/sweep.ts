import { oneSegment, type Segments } from '../backends/segments.js'
import type { MixerState } from '../layers/mixers/mixer.js'
import type { Input } from './chunk.js'
import { type Network, type NetworkState, stateTensors } from './network.js'
import type { Reading } from './reader.js'
import { openSpool, type Spool } from './spool.js'

/** How much is computed at a time, and what may stay on the device meanwhile. */
export interface CutLimits {
  /** Rows, a multiple of the network's stride. */
  chunk: number
  /** Of the largest residual stream that may; default: none. */
  streamBytes?: number
}

/**
 * Runs one sequence that is longer than a chunk through a bidirectional network, exactly, layer by layer over a spool of the residual
 * stream ([L', D] numbers). Each layer is swept twice: right to left, to learn the reverse state at every chunk border; then left to
 * right, with the carried forward state and the kept reverse one. `reading` gets rows in reading order.
 */
export async function sweep(network: Network, input: Input, limits: CutLimits, reading: Reading): Promise<void> {
  const b = network.backend
  const { chunk, streamBytes = 0 } = limits
  const state = network.zeroState(1)
  const length = network.length(input)
  const bytes = (length / network.stride) * network.spec.d_model * 4
  const [stream, borders] = [openSpool(b, bytes, streamBytes), openSpool(b, bytes, streamBytes)]
  try {
    await sweepOver(network, input, chunk, reading, { state, stream, borders })
  } finally {
    b.release(...stateTensors(state))
    stream.close()
    borders.close()
  }
}

interface Kept {
  state: NetworkState
  /** The residual stream of every chunk. */
  stream: Spool
  /** The reverse state at every border of chunks. */
  borders: Spool
}

async function sweepOver(
  network: Network,
  input: Input,
  chunk: number,
  reading: Reading,
  { state, stream, borders }: Kept,
): Promise<void> {
  const b = network.backend
  const length = network.length(input)
  const segments: Segments[] = []
  for (let from = 0; from < length; from += chunk) {
    const to = Math.min(from + chunk, length)
    const tokens = oneSegment(to - from, from, to === length, 0)
    const entered = await network.enter(network.slice(input, from, to), tokens, state, reading.onHidden)
    await stream.put(segments.length, entered.x)
    segments.push(entered.segments)
    b.release(entered.x)
  }
  const last = segments.length - 1

  for (const [i, block] of network.blocks.entries()) {
    const { forward, reverse } = state.blocks[i]
    const names = Object.keys(reverse ?? {})
    /** Where the reverse state at the right end of chunk c is kept. */
    const border = (c: number, n: number) => c * names.length + n
    if (reverse) {
      for (let c = last; c > 0; c--) {
        const x = await stream.get(c)
        await block.scanReverse(b, x, segments[c], reverse)
        for (const [n, name] of names.entries()) await borders.put(border(c - 1, n), reverse[name])
        b.release(x)
      }
    }
    for (let c = 0; c <= last; c++) {
      const kept: MixerState = {}
      if (c < last) for (const [n, name] of names.entries()) kept[name] = await borders.get(border(c, n))
      const directions = { forward, reverse: c < last ? kept : reverse }
      const x = await network.runBlock(i, await stream.get(c), segments[c], directions, reading.onHidden)
      await stream.put(c, x)
      b.release(x, ...Object.values(kept))
    }
  }
  for (let c = 0; c <= last; c++) {
    const hidden = await network.leave(await stream.get(c), segments[c], reading.onHidden)
    await reading.onRows(hidden, segments[c])
    b.release(hidden)
  }
}
