import { decodeIma, decodeMs } from './adpcm.js'
import { Cancellation } from './cancellation.js'
import { alaw, mulaw } from './companding.js'
import type { WavFormat } from './wav-format.js'

/** One sample at a byte, full scale to [-1, 1]. */
type ReadSample = (view: DataView, at: number) => number

/**
 * Float samples beyond this are damage: +40 dB. Real ones exceed full scale by some 20 dB, and a single one at 3e38,
 * where the numbers end, would be the level of the recording for minutes.
 */
const loudest = 100

/**
 * Turns whole blocks of `format.blockBytes` into mono: the mean of the channels, or one of them. Each result takes the
 * place of the one before.
 */
export class MonoDecoder {
  /**
   * Samples so far that were no finite number (NaN, infinity) or beyond +40 dB: they are not part of the mean; without
   * any other it is 0.
   */
  damaged = 0
  /** The frame of the first of them, counted from the first that was decoded. */
  firstDamaged: number | undefined
  /** Where it is the mean of several channels. */
  readonly cancellation: Cancellation | undefined
  private frames = 0
  private mono = new Float32Array(0)

  /** `channel`: from 1; undefined: the mean of all. */
  constructor(
    private readonly format: WavFormat,
    private readonly channel: number | undefined,
  ) {
    if (channel === undefined && format.channels > 1) this.cancellation = new Cancellation(format.rate)
  }

  /** [frames] samples of these bytes; only a block of ADPCM may be cut off. */
  decode(bytes: Uint8Array): Float32Array {
    const { coding, channels, blockBytes, sampleBytes, littleEndian } = this.format
    if (coding === 'ima-adpcm' || coding === 'ms-adpcm') return this.decodeAdpcm(bytes)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const width = blockBytes / channels
    // A sample narrower than its place stands at the low end of it.
    const shift = littleEndian ? 0 : width - sampleBytes
    const read = sampleReader(this.format)
    const frames = Math.floor(bytes.length / blockBytes)
    this.mix(this.room(frames), frames, (frame, channel) => read(view, frame * blockBytes + channel * width + shift))
    return this.mono.subarray(0, frames)
  }

  private decodeAdpcm(bytes: Uint8Array): Float32Array {
    const { coding, channels, blockBytes, blockFrames } = this.format
    const decodeBlock = coding === 'ima-adpcm' ? decodeIma : decodeMs
    const mono = this.room(Math.ceil(bytes.length / blockBytes) * blockFrames)
    let length = 0
    for (let at = 0; at < bytes.length; at += blockBytes) {
      const samples = decodeBlock(bytes.subarray(at, at + blockBytes), this.format)
      const frames = samples.length / channels
      this.mix(mono.subarray(length), frames, (frame, channel) => samples[frame * channels + channel] / 32768)
      length += frames
    }
    return mono.subarray(0, length)
  }

  private room(frames: number): Float32Array {
    if (this.mono.length < frames) this.mono = new Float32Array(frames)
    return this.mono
  }

  private mix(mono: Float32Array, frames: number, sample: (frame: number, channel: number) => number): void {
    const first = this.channel === undefined ? 0 : this.channel - 1
    const count = this.channel === undefined ? this.format.channels : 1
    const { cancellation } = this
    for (let frame = 0; frame < frames; frame++) {
      let sum = 0
      let squares = 0
      let whole = 0
      for (let channel = first; channel < first + count; channel++) {
        const value = sample(frame, channel)
        // NaN is not within either.
        if (!(Math.abs(value) <= loudest)) {
          this.damaged++
          this.firstDamaged ??= this.frames + frame
          continue
        }
        sum = whole === 0 ? value : sum + value
        squares += value * value
        whole++
      }
      const mean = whole === 0 ? 0 : sum / whole
      mono[frame] = mean
      if (whole > 1) cancellation?.add(mean * mean, squares / whole)
    }
    this.frames += frames
  }
}

function sampleReader({ coding, sampleBytes, littleEndian }: WavFormat): ReadSample {
  if (coding === 'alaw') return (view, at) => alaw[view.getUint8(at)]
  if (coding === 'mulaw') return (view, at) => mulaw[view.getUint8(at)]
  if (coding === 'float') {
    if (sampleBytes === 4) return (view, at) => view.getFloat32(at, littleEndian)
    return (view, at) => view.getFloat64(at, littleEndian)
  }
  // Bits that fill no whole bytes stand at the high end of them, so that the bytes alone tell the scale.
  if (sampleBytes === 1) return (view, at) => (view.getUint8(at) - 128) / 128
  if (sampleBytes === 2) return (view, at) => view.getInt16(at, littleEndian) / 2 ** 15
  if (sampleBytes === 3) {
    if (littleEndian) return (view, at) => ((view.getInt8(at + 2) << 16) | view.getUint16(at, true)) / 2 ** 23
    return (view, at) => ((view.getInt16(at) << 8) | view.getUint8(at + 2)) / 2 ** 23
  }
  if (sampleBytes === 4) return (view, at) => view.getInt32(at, littleEndian) / 2 ** 31
  return (view, at) => {
    let low = 0
    for (let i = 4; i < sampleBytes; i++)
      low = low * 256 + view.getUint8(littleEndian ? at + sampleBytes - 1 - i : at + i)
    const high = view.getInt32(littleEndian ? at + sampleBytes - 4 : at, littleEndian)
    return (high + low / 256 ** (sampleBytes - 4)) / 2 ** 31
  }
}
