import { latin1 } from '../riff.js'
import { type FrameHeader, headerBytes } from './header.js'

/** Samples that the decoder of layer III puts in front by itself. */
const decoderDelay = 529

/** What the tag of a file says. */
export interface InfoTag {
  /** Samples that its frames hold, if it says how many frames there are. */
  decoded: number | undefined
  /** Spans of these that the encoder added: in front, and at the end. */
  added: [number, number][]
}

/**
 * The tag in the first frame of a file, which holds no sound ("Xing", or "Info" for a constant bit rate). Undefined:
 * the frame is a usual one.
 */
export function parseInfoTag(frame: Uint8Array, header: FrameHeader): InfoTag | undefined {
  const { layer, version, channels, samples } = header
  if (layer !== 3) return undefined
  const sideBytes = version === 1 ? (channels === 1 ? 17 : 32) : channels === 1 ? 9 : 17
  let at = headerBytes + sideBytes
  if (!['Xing', 'Info'].includes(latin1(frame.subarray(at, at + 4)))) return undefined
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length)
  const u32 = (place: number) => (place + 4 <= frame.length ? view.getUint32(place) : 0)
  const fields = u32(at + 4)
  const decoded = fields & 1 ? u32(at + 8) * samples : undefined
  // Frames, bytes, a table of places, quality.
  at += 8 + (fields & 1 ? 4 : 0) + (fields & 2 ? 4 : 0) + (fields & 4 ? 100 : 0) + (fields & 8 ? 4 : 0)
  // Only these encoders are known to say what they added.
  if (!['LAME', 'Lavf', 'Lavc'].includes(latin1(frame.subarray(at, at + 4)))) return { decoded, added: [] }
  const delays = u32(at + 21) >>> 8
  const added: [number, number][] = [[0, (delays >>> 12) + decoderDelay]]
  if (decoded !== undefined) added.push([decoded - Math.max(0, (delays & 4095) - decoderDelay), decoded])
  return { decoded, added }
}
