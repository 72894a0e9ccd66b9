import { FrameDecoder } from '../flac/frame.js'
import { parseStreamInfo, streamInfoBytes } from '../flac/header.js'
import { type Codec, noSamples, startsWith } from './codec.js'

/** Where STREAMINFO begins: behind the mark, a version, a count, the mark of FLAC and the head of a block. */
const infoAt = 17

/** Whether this is the first packet of FLAC in Ogg (RFC 9639, 10.1). */
export const isFlacHead = (packet: Uint8Array) =>
  startsWith(packet, '\x7fFLAC') && packet.length >= infoAt + streamInfoBytes

export async function openFlac(head: Uint8Array): Promise<Codec> {
  const info = parseStreamInfo(head.subarray(infoAt))
  const decoder = new FrameDecoder(info)
  return {
    rate: info.rate,
    skip: 0,
    async decode(packet) {
      // Blocks of tags begin otherwise.
      if (packet[0] !== 0xff) return noSamples(info.rate)
      const frame = decoder.decode(packet)
      if (typeof frame === 'string') return undefined
      // The next frame takes the place of these samples, and a page has several.
      return { ...frame.block, channels: frame.block.channels.map((samples) => samples.slice()) }
    },
    close: async () => {},
  }
}
