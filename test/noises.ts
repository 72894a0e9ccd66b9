import { Random } from '../src/runtime/random.js'
import { noise } from '../src/training/audio/augment.js'
import { chunk, fmt, int16, riff } from './input/audio/helpers.js'

// Recordings at 16 kHz in which nothing is said.

const rate = 16_000
const samples = (seconds: number, at: (i: number, t: number) => number) =>
  Float32Array.from({ length: Math.round(seconds * rate) }, (_, i) => at(i, i / rate))

/** Power falls by 3 dB an octave: a sum of leaky sums (after Paul Kellet). */
function pink(length: number, random: Random): Float32Array {
  const leaks = [0.99765, 0.963, 0.57]
  const gains = [0.099, 0.2965, 1.0527]
  const sums = leaks.map(() => random.normal())
  return Float32Array.from({ length }, () => {
    const white = random.normal()
    for (const k of sums.keys()) sums[k] = leaks[k] * sums[k] + gains[k] * white
    return sums.reduce((a, b) => a + b, 0.1848 * white)
  })
}

type Kind = 'white' | 'pink' | 'brown' | 'hum' | 'clicks' | 'sweep' | 'beeps' | 'crackle' | 'bell'

const kinds: Record<Kind, (seconds: number, random: Random) => Float32Array> = {
  white: (seconds, random) => noise(seconds * rate, random, 'white'),
  pink: (seconds, random) => pink(seconds * rate, random),
  brown: (seconds, random) => noise(seconds * rate, random, 'brown'),
  /** Mains, with its harmonics. */
  hum: (seconds, random) => {
    const base = random.int(2) === 0 ? 50 : 60
    const levels = Array.from({ length: 8 }, (_, h) => random.uniform() / (h + 1))
    return samples(seconds, (_, t) =>
      levels.reduce((sum, level, h) => sum + level * Math.sin(2 * Math.PI * base * (h + 1) * t), 0),
    )
  },
  /** One to eight in a second. */
  clicks: (seconds, random) => {
    const every = Math.round(rate / random.uniform(1, 8))
    return samples(seconds, (i) => Math.exp(-(i % every) / 20) * random.normal())
  },
  /** From low to high and again. */
  sweep: (seconds, random) => {
    const [from, octaves, period] = [random.uniform(80, 300), random.uniform(1, 4), random.uniform(0.5, 4)]
    let phase = 0
    return samples(seconds, (_, t) => {
      phase += (2 * Math.PI * from * 2 ** (octaves * ((t / period) % 1))) / rate
      return Math.sin(phase)
    })
  },
  beeps: (seconds, random) => {
    const [pitch, period] = [random.uniform(300, 2500), random.uniform(0.2, 1)]
    return samples(seconds, (_, t) => ((t / period) % 1 < 0.5 ? Math.sin(2 * Math.PI * pitch * t) : 0))
  },
  /** Short bursts at random places. */
  crackle: (seconds, random) => {
    let burst = 0
    return samples(seconds, () => {
      burst = random.uniform() < 20 / rate ? random.uniform(0.1, 1) : burst * 0.99
      return burst * random.normal()
    })
  },
  /** Struck once in a while, partials that die away. */
  bell: (seconds, random) => {
    const [pitch, every] = [random.uniform(200, 900), random.uniform(0.6, 2)]
    const partials = [1, 2.76, 5.4, 8.93]
    return samples(seconds, (_, t) => {
      const since = t % every
      return partials.reduce(
        (sum, p, k) => sum + (Math.exp(-since * (2 + k)) * Math.sin(2 * Math.PI * pitch * p * since)) / (k + 1),
        0,
      )
    })
  },
}

export const noiseKinds = Object.keys(kinds) as Kind[]

/** A WAV file of 16 bits, its largest sample `peak` of full scale. */
export function noiseRecording(kind: Kind, seconds: number, peak: number, seed: number): Buffer {
  const made = kinds[kind](seconds, new Random(seed))
  const scale = (32_767 * peak) / made.reduce((most, x) => Math.max(most, Math.abs(x)), 0)
  const bits = Array.from(made, (x) => Math.round(scale * x))
  return riff([chunk('fmt ', fmt({ rate })), chunk('data', int16(bits))])
}
