import { fenced } from '../fenced.js'
import { type Codec, inWavOrder, noSamples, startsWith } from './codec.js'

/** Opus always decodes to this rate, whatever was recorded. */
const rate = 48_000

interface Head {
  channels: number
  preSkip: number
  /** A factor for all samples. */
  gain: number
  streams: number
  coupled: number
  mapping: number[]
}

/** The first packet (RFC 7845, 5.1); undefined: it is none, or its channels are no loudspeakers of a usual layout. */
export function parseOpusHead(packet: Uint8Array): Head | undefined {
  if (!startsWith(packet, 'OpusHead') || packet.length < 19 || packet[8] > 15) return undefined
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length)
  const channels = packet[9]
  const family = packet[18]
  const isUsual = family === 0 ? channels <= 2 : family === 1 && channels <= 8 && packet.length >= 21 + channels
  if (!isUsual || channels === 0) return undefined
  const [streams, coupled] = family === 0 ? [1, channels - 1] : packet.subarray(19, 21)
  const mapping = family === 0 ? [0, 1].slice(0, channels) : [...packet.subarray(21, 21 + channels)]
  // 255 is silence.
  const isWhole = mapping.every((from) => from < streams + coupled || from === 255)
  if (!isWhole || streams === 0 || coupled > streams) return undefined
  const gain = 10 ** (view.getInt16(16, true) / 256 / 20)
  return { channels, preSkip: view.getUint16(10, true), gain, streams, coupled, mapping }
}

export async function openOpus(packet: Uint8Array): Promise<Codec> {
  const { channels, preSkip, gain, streams, coupled, mapping } = parseOpusHead(packet)!
  const { OpusDecoder } = await import('opus-decoder')
  const decoder = new OpusDecoder({
    channels,
    streamCount: streams,
    coupledStreamCount: coupled,
    channelMappingTable: mapping,
  })
  await decoder.ready
  let isHeader = true
  return {
    rate,
    skip: preSkip,
    async decode(packet) {
      if (isHeader) {
        isHeader = false
        return noSamples(rate)
      }
      const decoded = await fenced(() => decoder.decodeFrame(packet))
      if (!decoded || decoded.samplesDecoded === 0) return undefined
      const { channelData } = decoded
      if (gain !== 1) for (const samples of channelData) for (const [i, x] of samples.entries()) samples[i] = x * gain
      return { rate, channels: inWavOrder(channelData) }
    },
    close: () => fenced(() => decoder.free()),
  }
}
