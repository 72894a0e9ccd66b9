import type { Block } from '../decoded.js'
import { BitReader } from './bits.js'
import { crc16, type FrameHeader, parseHeader, type Stereo, type StreamInfo } from './header.js'
import { decodeSubframe } from './subframe.js'

/** A frame that was whole: its bytes, what its header says, its samples. */
export interface Frame {
  bytes: number
  header: FrameHeader
  block: Block
}

/** Decodes frames of FLAC; the samples of each take the place of those before. */
export class FrameDecoder {
  private readonly whole: Float64Array[] = []
  private readonly scaled: Float32Array[] = []

  constructor(private readonly info: StreamInfo) {}

  /**
   * The frame at the start of `bytes`. `none`: there is none, or a damaged one; `more`: it may go on beyond the end of
   * them.
   */
  decode(bytes: Uint8Array): Frame | 'none' | 'more' {
    const header = parseHeader(bytes, 0, this.info)
    if (!header) return 'none'
    const { samples, channels, bits, stereo, rate } = header
    const reader = new BitReader(bytes, header.bytes)
    this.reserve(channels, samples)
    for (let c = 0; c < channels; c++) {
      const isDifference = stereo === 'side-right' ? c === 0 : stereo !== 'independent' && c === 1
      const isRight = decodeSubframe(reader, bits + (isDifference ? 1 : 0), samples, this.whole[c])
      if (reader.isPastEnd) return 'more'
      if (!isRight) return 'none'
    }
    const end = reader.byte
    if (end + 2 > bytes.length) return 'more'
    if (crc16(bytes, 0, end) !== bytes[end] * 256 + bytes[end + 1]) return 'none'
    undoStereo(stereo, this.whole, samples)
    const scale = 2 ** (1 - bits)
    const block = {
      rate,
      channels: Array.from({ length: channels }, (_, c) => {
        const [whole, scaled] = [this.whole[c], this.scaled[c]]
        for (let i = 0; i < samples; i++) scaled[i] = whole[i] * scale
        return scaled.subarray(0, samples)
      }),
    }
    return { bytes: end + 2, header, block }
  }

  private reserve(channels: number, samples: number): void {
    for (let c = 0; c < channels; c++) {
      if ((this.whole[c]?.length ?? 0) >= samples) continue
      this.whole[c] = new Float64Array(samples)
      this.scaled[c] = new Float32Array(samples)
    }
  }
}

/** Makes left and right of what two channels were written as (RFC 9639, 4.2). */
function undoStereo(stereo: Stereo, [left, right]: Float64Array[], samples: number): void {
  if (stereo === 'left-side') for (let i = 0; i < samples; i++) right[i] = left[i] - right[i]
  if (stereo === 'side-right') for (let i = 0; i < samples; i++) left[i] += right[i]
  if (stereo !== 'mid-side') return
  for (let i = 0; i < samples; i++) {
    const side = right[i]
    // The mean was rounded down; the difference has the bit that it lost.
    const sum = 2 * left[i] + Math.abs(side % 2)
    left[i] = (sum + side) / 2
    right[i] = (sum - side) / 2
  }
}
