import { FileProblem } from '../problem.js'
import type { WavFormat } from './wav-format.js'

/** Step sizes of IMA ADPCM (IMA Digital Audio Focus and Technical Working Groups, 1992). */
const steps = [
  7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88, 97, 107, 118,
  130, 143, 157, 173, 190, 209, 230, 253, 279, 307, 337, 371, 408, 449, 494, 544, 598, 658, 724, 796, 876, 963, 1060,
  1166, 1282, 1411, 1552, 1707, 1878, 2066, 2272, 2499, 2749, 3024, 3327, 3660, 4026, 4428, 4871, 5358, 5894, 6484,
  7132, 7845, 8630, 9493, 10442, 11487, 12635, 13899, 15289, 16818, 18500, 20350, 22385, 24623, 27086, 29794, 32767,
]
const stepMoves = [-1, -1, -1, -1, 2, 4, 6, 8]

/** How the step of MS ADPCM grows, in 1/256, by the code. */
const growth = [230, 230, 230, 230, 307, 409, 512, 614, 768, 614, 512, 409, 307, 230, 230, 230]

const clamp = (value: number) => Math.max(-32768, Math.min(32767, value))

/** Decodes one block, of which the end may be missing, to frames of 16-bit samples `[frames, channels]`. */
export type BlockDecoder = (block: Uint8Array, format: WavFormat) => Int16Array

/**
 * A block of IMA ADPCM as WAV holds it: per channel the first sample and the step, then 8 codes of each channel in
 * turn. (`wavefile` 11 repeats the first sample of every block, leaves out the last block and knows one channel only.)
 */
export const decodeIma: BlockDecoder = (block, { channels }) => {
  const groups = Math.max(0, Math.floor((block.length - 4 * channels) / (4 * channels)))
  const samples = new Int16Array(block.length < 4 * channels ? 0 : (1 + 8 * groups) * channels)
  for (let channel = 0; samples.length > 0 && channel < channels; channel++) {
    const head = 4 * channel
    let value = ((block[head] | (block[head + 1] << 8)) << 16) >> 16
    let index = block[head + 2]
    if (index >= steps.length) throw new FileProblem(`damaged IMA ADPCM (step ${index}, expected 0 to 88)`)
    samples[channel] = value
    let at = channels + channel
    for (let group = 1; group <= groups; group++) {
      for (let i = 0; i < 8; i++, at += channels) {
        const byte = block[4 * (group * channels + channel) + (i >> 1)]
        const code = i % 2 === 0 ? byte & 15 : byte >> 4
        const step = steps[index]
        let change = step >> 3
        if (code & 4) change += step
        if (code & 2) change += step >> 1
        if (code & 1) change += step >> 2
        value = clamp(code & 8 ? value - change : value + change)
        index = Math.max(0, Math.min(88, index + stepMoves[code & 7]))
        samples[at] = value
      }
    }
  }
  return samples
}

/**
 * A block of MS ADPCM: per channel predictor, step, the second and the first sample, then codes of the channels in
 * turn.
 */
export const decodeMs: BlockDecoder = (block, { channels, coefficients }) => {
  const head = 7 * channels
  if (block.length < head) return new Int16Array(0)
  const i16 = (at: number) => ((block[at] | (block[at + 1] << 8)) << 16) >> 16
  const frames = 2 + Math.floor(((block.length - head) * 2) / channels)
  const samples = new Int16Array(frames * channels)
  const step = new Int32Array(channels)
  for (let channel = 0; channel < channels; channel++) {
    if (block[channel] >= coefficients.length) {
      throw new FileProblem(`damaged MS ADPCM (predictor ${block[channel]}, expected 0 to ${coefficients.length - 1})`)
    }
    step[channel] = i16(channels + 2 * channel)
    samples[channels + channel] = i16(3 * channels + 2 * channel)
    samples[channel] = i16(5 * channels + 2 * channel)
  }
  for (let at = 2 * channels; at < samples.length; at++) {
    const channel = at % channels
    const nibble = at - 2 * channels
    const byte = block[head + (nibble >> 1)]
    const code = nibble % 2 === 0 ? byte >> 4 : byte & 15
    const [first, second] = coefficients[block[channel]]
    const predicted = Math.trunc((samples[at - channels] * first + samples[at - 2 * channels] * second) / 256)
    samples[at] = clamp(predicted + (code >= 8 ? code - 16 : code) * step[channel])
    step[channel] = Math.max(16, (growth[code] * step[channel]) >> 8)
  }
  return samples
}
