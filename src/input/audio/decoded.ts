/**
 * What a decoder hands out: the same number of samples for each channel, full scale at -1 and 1. Valid until the next
 * block is asked for.
 */
export interface Block {
  /** Samples per second. */
  rate: number
  channels: Float32Array[]
}

/** A file whose header has been read. */
export interface Opened {
  /** Samples of each channel, going by the header, if it says how many. */
  expected: number | undefined
  blocks: AsyncGenerator<Block>
}

export const lengthOf = ({ channels }: Block) => channels[0].length

/** The samples from `from` on and before `to`. */
export function part({ rate, channels }: Block, from: number, to: number): Block {
  return { rate, channels: channels.map((samples) => samples.subarray(Math.max(0, from), Math.max(0, to))) }
}

/** Samples handed out at once where many are the same. */
const mostSilence = 1 << 15

/** So many samples of silence, with the rate and the number of channels of this block. */
export function* silence({ rate, channels }: Block, samples: number): Generator<Block> {
  const zeros = new Float32Array(Math.min(samples, mostSilence))
  for (let left = samples; left > 0; left -= zeros.length) {
    yield { rate, channels: Array.from(channels, () => zeros.subarray(0, left)) }
  }
}
