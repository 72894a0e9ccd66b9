import type { OggVorbisDecoder } from '@wasm-audio-decoders/ogg-vorbis'
import { fenced } from '../fenced.js'
import { maxRate } from '../wav-format.js'
import { type Codec, inWavOrder, noSamples, startsWith } from './codec.js'

type Page = Parameters<OggVorbisDecoder['decodeOggPages']>[0][number]

const idBytes = 30

/** The first packet (Vorbis I, 4.2.2); undefined: it is none. */
export function parseVorbisId(packet: Uint8Array): { channels: number; rate: number } | undefined {
  if (!startsWith(packet, '\x01vorbis') || packet.length < idBytes) return undefined
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length)
  const [channels, rate] = [packet[11], view.getUint32(12, true)]
  return channels === 0 || channels > 8 || rate === 0 || rate > maxRate ? undefined : { channels, rate }
}

export async function openVorbis(id: Uint8Array): Promise<Codec> {
  const { rate, channels } = parseVorbisId(id)!
  const { OggVorbisDecoder } = await import('@wasm-audio-decoders/ogg-vorbis')
  const decoder = new OggVorbisDecoder()
  await decoder.ready
  // The decoder takes pages of its own parser; this is as much of them as it looks at.
  const decode = (page: { data: Uint8Array; codecFrames: object[] }) =>
    fenced(() => decoder.decodeOggPages([page as Page]))
  await decode({ data: id, codecFrames: [] })
  let setup: Uint8Array | undefined
  let isReady = false
  return {
    rate,
    skip: 0,
    async decode(packet) {
      // Packets of the header are odd: comments (3) are not needed.
      if (packet[0] & 1) {
        if (startsWith(packet, '\x05vorbis')) setup = packet
        return noSamples(rate)
      }
      if (!setup) return undefined
      // The header goes with the first packet of sound.
      const frame = isReady ? { data: packet } : { data: packet, header: { vorbisSetup: setup } }
      isReady = true
      const decoded = await decode({ data: packet, codecFrames: [frame] })
      if (!decoded || decoded.errors.length > 0 || decoded.channelData.length !== channels) return undefined
      return { rate, channels: inWavOrder(decoded.channelData) }
    },
    close: () => fenced(() => decoder.free()),
  }
}
