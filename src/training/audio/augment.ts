import type { Random } from '../../runtime/random.js'

// Changes to recordings that leave their text as it is. What is random is drawn from the generator given, so a seed
// names a training run.

/**
 * The recording `factor` times as fast (tempo and pitch together; Ko et al. 2015 use 0.9 and 1.1): ceil(L / factor)
 * samples, each a windowed-sinc interpolation that lets pass what both rates can carry (error below -60 dB up to 3/4 of
 * it).
 */
export function speed(samples: Float32Array, factor: number): Float32Array {
  if (!(factor > 0)) throw new Error(`speed ${factor}, expected a number above 0`)
  if (factor === 1) return samples.slice()
  const cutoff = Math.min(1, 1 / factor)
  const reach = Math.ceil(zeroCrossings / cutoff)
  const table = sincTable(cutoff, reach)
  const taps = 2 * reach
  const out = new Float32Array(Math.ceil(samples.length / factor))
  for (let i = 0; i < out.length; i++) {
    const at = i * factor
    const whole = Math.floor(at)
    const phase = (at - whole) * phases
    const step = Math.floor(phase)
    const part = phase - step
    const first = whole - reach + 1
    const row = step * taps
    const last = Math.min(taps, samples.length - first)
    let sum = 0
    for (let k = Math.max(0, -first); k < last; k++) {
      const weight = table[row + k]
      sum += samples[first + k] * (weight + part * (table[row + taps + k] - weight))
    }
    out[i] = sum
  }
  return out
}

const zeroCrossings = 16
const phases = 256

/**
 * [phases + 1, 2 reach]: the weights of the samples around a point, for each fraction of the way between two samples.
 */
function sincTable(cutoff: number, reach: number): Float64Array {
  const taps = 2 * reach
  const table = new Float64Array((phases + 1) * taps)
  for (let p = 0; p <= phases; p++) {
    for (let k = 0; k < taps; k++) {
      const x = k - reach + 1 - p / phases
      const sinc = x === 0 ? 1 : Math.sin(Math.PI * cutoff * x) / (Math.PI * cutoff * x)
      table[p * taps + k] = Math.abs(x) < reach ? cutoff * sinc * Math.cos((Math.PI * x) / (2 * reach)) ** 2 : 0
    }
  }
  return table
}

/**
 * White noise of power 1, or noise whose power falls by about 6 dB an octave (`brown`), which rooms and rumble are
 * nearer to.
 */
export function noise(length: number, random: Random, colour: 'white' | 'brown'): Float32Array {
  const out = new Float32Array(length)
  // A leaky sum of white noise; sqrt(1 - leak^2) keeps its power at 1, and starting from that power there is no
  // fade-in.
  const leak = colour === 'white' ? 0 : 0.98
  const scale = Math.sqrt(1 - leak ** 2)
  let x = random.normal()
  for (let i = 0; i < length; i++) out[i] = x = leak * x + scale * random.normal()
  return out
}

export interface Masks {
  /** How many masks over rows, and the most rows of one. */
  rows: { count: number; most: number }
  /** How many masks over columns (mel bands), and the most columns of one. */
  columns: { count: number; most: number }
}

/**
 * SpecAugment (Park et al. 2019, arXiv 1904.08779), in place: features [T, columns] with bands of rows and of columns
 * set to their mean, which says nothing. The width of each is drawn from 0 .. most, its place from where it fits; a
 * mask over rows takes at most a fifth of them (p = 0.2 in the paper), so that short recordings keep their words.
 */
export function maskFeatures(features: Float32Array, columns: number, masks: Masks, random: Random): Float32Array {
  const rows = features.length / columns
  const fill = features.reduce((a, b) => a + b, 0) / Math.max(1, features.length)
  for (let i = 0; i < masks.rows.count; i++) {
    const [from, to] = interval(rows, Math.min(masks.rows.most, Math.floor(rows / 5)), random)
    features.fill(fill, from * columns, to * columns)
  }
  for (let i = 0; i < masks.columns.count; i++) {
    const [from, to] = interval(columns, Math.min(masks.columns.most, columns), random)
    for (let t = 0; t < rows; t++) features.fill(fill, t * columns + from, t * columns + to)
  }
  return features
}

function interval(size: number, most: number, random: Random): [from: number, to: number] {
  const width = random.int(most + 1)
  const from = random.int(size - width + 1)
  return [from, from + width]
}
