import { endianness } from 'node:os'
import { FileProblem } from '../problem.js'
import { type Block, lengthOf } from './decoded.js'
import { lowestRate, Resampler } from './resample.js'
import type { WavFormat } from './wav-format.js'

/** How the bytes of `inOneFormat` are to be read: float samples, as ffmpeg gives them. */
export function floatFormat({ rate, channels }: Block): WavFormat {
  return {
    coding: 'float',
    name: '32-bit float',
    channels: channels.length,
    rate,
    blockBytes: 4 * channels.length,
    blockFrames: 1,
    sampleBytes: 4,
    littleEndian: endianness() === 'LE',
    coefficients: [],
  }
}

/**
 * Blocks as bytes, with the rate and the channels of the first: where a stream changes them on its way, what follows is
 * resampled, and where it has other channels each becomes their mean. Errors (FileProblem 65): a rate that comes from
 * damage.
 */
export async function* inOneFormat(first: Block, rest: AsyncIterable<Block>): AsyncGenerator<Uint8Array> {
  const interleaver = new Interleaver(first.channels.length)
  const { rate } = first
  const count = first.channels.length
  let resamplers: Resampler[] = []
  let from = rate
  function* flush() {
    if (resamplers.length > 0) yield interleaver.bytes(resamplers.map((resampler) => resampler.end()))
    resamplers = []
  }
  yield interleaver.bytes(first.channels)
  for await (const block of rest) {
    if (block.rate !== from) {
      yield* flush()
      from = block.rate
      if (from < lowestRate)
        throw new FileProblem(`${from} samples a second on its way, expected at least ${lowestRate}`)
      if (from !== rate) resamplers = Array.from({ length: count }, () => new Resampler(from, rate))
    }
    const channels = block.channels.length === count ? block.channels : new Array(count).fill(mean(block))
    yield interleaver.bytes(
      resamplers.length === 0 ? channels : channels.map((samples, c) => resamplers[c].push(samples)),
    )
  }
  yield* flush()
}

/** Two buffers in turn: whoever reads bytes may still look at a block when it asks for the next one. */
class Interleaver {
  private readonly buffers = [new Float32Array(0), new Float32Array(0)]
  private turn = 0

  constructor(private readonly count: number) {}

  bytes(channels: Float32Array[]): Uint8Array {
    const { count } = this
    const length = channels[0].length * count
    this.turn ^= 1
    if (this.buffers[this.turn].length < length) this.buffers[this.turn] = new Float32Array(length)
    const out = this.buffers[this.turn]
    for (const [c, samples] of channels.entries()) {
      for (let i = 0, at = c; at < length; i++, at += count) out[at] = samples[i]
    }
    return new Uint8Array(out.buffer, 0, 4 * length)
  }
}

function mean(block: Block): Float32Array {
  const { channels } = block
  return Float32Array.from({ length: lengthOf(block) }, (_, i) => {
    let sum = 0
    for (const samples of channels) sum += samples[i]
    return sum / channels.length
  })
}
