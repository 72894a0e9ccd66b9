import { concatenate64 } from '../../runtime/concatenate.js'
import { Random } from '../../runtime/random.js'
import type { LogMelSpec } from '../../spec.js'
import { frameSeconds, LogMelNormaliser } from '../../tokens/log-mel.js'
import { MelEnergies } from '../../tokens/mel-energies.js'
import { type Batch, type Examples, joined } from '../data/examples.js'
import { maskFeatures, noise } from './augment.js'
import { type Energies, fromStored, type Recordings } from './recordings.js'
import type { AudioOptions } from './settings.js'

export type AudioAugmentation = Omit<AudioOptions, 'log_mel' | 'units' | 'speeds'>

/** One recording or several, as band energies [frames, n_mels]. */
interface Source {
  frames: Float64Array
  target: number[]
}

/**
 * Batches of recordings. What changes them works on the energies of the mel bands, before the level is taken: powers of
 * sounds that have nothing to do with each other add up, gain is a factor, so each epoch gets other recordings without
 * another FFT.
 */
export class AudioExamples implements Examples {
  readonly views = 1
  /** [frames, n_mels] of half a minute of each colour. */
  private readonly noises: Float64Array[]

  constructor(
    private readonly recordings: Recordings,
    private readonly spec: LogMelSpec,
    private readonly augmentation: AudioAugmentation,
  ) {
    this.noises = augmentation.noise > 0 ? (['white', 'brown'] as const).map((colour) => this.made(colour)) : []
  }

  plain(indexes: ArrayLike<number>): Batch {
    return this.batch(Array.from(indexes, (i) => this.sourceOf(this.recordings.versions[0], i)))
  }

  augmented(indexes: ArrayLike<number>, random: Random): Batch {
    const { time_masks, band_masks } = this.augmentation
    const { n_mels } = this.spec
    const masks = {
      rows: { count: time_masks[0], most: Math.round(time_masks[1] / frameSeconds(this.spec)) },
      columns: { count: band_masks[0], most: band_masks[1] },
    }
    const all = Array.from(indexes, (i) => this.changed(i, random))
    return this.batch(all, (features) => maskFeatures(features, n_mels, masks, random))
  }

  private batch(all: Source[], change = (features: Float32Array) => features): Batch {
    const parts = all.map(({ frames }) => change(new LogMelNormaliser(this.spec).push(frames, true)))
    return { ...joined(parts, this.spec.n_mels), targets: all.map(({ target }) => Int32Array.from(target)) }
  }

  private sourceOf({ stored, offsets }: Energies, i: number): Source {
    const { n_mels } = this.spec
    const frames = Float64Array.from(stored.subarray(offsets[i] * n_mels, offsets[i + 1] * n_mels), fromStored)
    const { targets, targetOffsets } = this.recordings
    return { frames, target: [...targets.subarray(targetOffsets[i], targetOffsets[i + 1])] }
  }

  private changed(index: number, random: Random): Source {
    const { join, join_most, crop, silence, noise: noisy, gain, tilt } = this.augmentation
    const count = join > 0 && random.uniform() < join ? 2 + random.int(join_most - 1) : 1
    const all = this.recordings.targetOffsets.length - 1
    const { versions } = this.recordings
    const parts = Array.from({ length: count }, (_, k) =>
      this.sourceOf(versions[random.int(versions.length)], k === 0 ? index : random.int(all)),
    )
    const gap = () => this.silence(silence > 0 ? this.framesIn(random.uniform(0, silence)) : 0)
    const where = noisy > 0 && random.uniform() < noisy ? (['rooms', 'everywhere'] as const)[random.int(2)] : 'none'
    if (where === 'rooms')
      for (const part of parts) {
        part.frames = concatenate64([gap(), part.frames, gap()])
        this.addNoise(part.frames, random)
      }
    const whole = this.joined(parts, gap)
    let { frames } = whole
    const { n_mels } = this.spec
    const spare = crop > 0 ? frames.length / n_mels - this.framesIn(crop) : 0
    if (spare > 0) {
      const from = random.int(spare + 1)
      frames = frames.subarray(from * n_mels, (from + this.framesIn(crop)) * n_mels)
    }
    if (where === 'everywhere') this.addNoise(frames, random)
    this.colour(frames, random.uniform(-gain, gain), random.uniform(-tilt, tilt))
    return { frames, target: whole.target }
  }

  /** One after the other, with gaps before, between and after; only the last keeps its tail. */
  private joined(parts: Source[], gap: () => Float64Array): Source {
    const tail = this.framesIn(this.spec.tail ?? 0) * this.spec.n_mels
    const frames = [gap()]
    for (const [k, part] of parts.entries()) {
      const end = k + 1 < parts.length ? Math.max(0, part.frames.length - tail) : part.frames.length
      frames.push(part.frames.subarray(0, end), gap())
    }
    return { frames: concatenate64(frames), target: parts.flatMap(({ target }) => target) }
  }

  private silence(frames: number): Float64Array {
    return new Float64Array(frames * this.spec.n_mels)
  }

  /** Adds noise of one colour over all frames. */
  private addNoise(frames: Float64Array, random: Random): void {
    const { snr } = this.augmentation
    const { n_mels } = this.spec
    const other = this.noises[random.int(this.noises.length)]
    const start = random.int(other.length / n_mels) * n_mels
    const ratio = 10 ** (-random.uniform(snr[0], snr[1]) / 10)
    const factor = (ratio * meanPower(frames, n_mels)) / meanPower(other, n_mels)
    for (let i = 0; i < frames.length; i++) frames[i] += factor * other[(start + i) % other.length]
  }

  private colour(frames: Float64Array, gain: number, tilt: number): void {
    if (gain === 0 && tilt === 0) return
    const { n_mels } = this.spec
    const factors = Float64Array.from({ length: n_mels }, (_, m) => 10 ** ((gain + tilt * (m / n_mels - 0.5)) / 10))
    for (let i = 0; i < frames.length; i++) frames[i] *= factors[i % n_mels]
  }

  private made(colour: 'white' | 'brown'): Float64Array {
    const energies = new MelEnergies({ ...this.spec, tail: 0 })
    const begun = energies.push(noise(30 * this.spec.sample_rate, new Random(1), colour)).slice()
    return concatenate64([begun, energies.end()])
  }

  private framesIn(seconds: number): number {
    return Math.round(seconds / frameSeconds(this.spec))
  }
}

/** Of the frames [T, n_mels] that are not silent. */
function meanPower(frames: Float64Array, n_mels: number): number {
  let sum = 0
  let loud = 0
  for (let t = 0; t < frames.length; t += n_mels) {
    let power = 0
    for (let m = 0; m < n_mels; m++) power += frames[t + m]
    sum += power
    if (power > 0) loud++
  }
  return loud === 0 ? 0 : sum / loud
}
