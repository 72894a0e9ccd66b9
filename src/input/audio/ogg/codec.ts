import type { Block } from '../decoded.js'

/** What decodes the packets of a stream in Ogg, one after the other. */
export interface Codec {
  rate: number
  /** Samples in front that are no part of the recording. */
  skip: number
  /** The samples of a packet; a packet of the header has none. Undefined: it is damaged. */
  decode(packet: Uint8Array): Promise<Block | undefined>
  close(): Promise<void>
}

/** What a packet of the header gives. */
export const noSamples = (rate: number): Block => ({ rate, channels: [new Float32Array(0)] })

export const startsWith = (packet: Uint8Array, mark: string) =>
  Buffer.from(packet.subarray(0, mark.length)).toString('latin1') === mark

/** For channels of Vorbis and Opus, by their number: which of them WAV and FLAC have first, second ... */
const orders: Record<number, number[]> = {
  3: [0, 2, 1],
  5: [0, 2, 1, 3, 4],
  6: [0, 2, 1, 5, 3, 4],
  7: [0, 2, 1, 6, 5, 3, 4],
  8: [0, 2, 1, 7, 5, 6, 3, 4],
}

export function inWavOrder(channels: Float32Array[]): Float32Array[] {
  return orders[channels.length]?.map((from) => channels[from]) ?? channels
}
