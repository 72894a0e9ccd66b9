import type { LevelSpec } from '../spec.js'

/**
 * Loudness normalisation: the level of a recording so far is the mean of the frames' energies in dB, each frame
 * weighted by its amplitude (the root of its energy) and forgotten exponentially. Scaling the recording scales all
 * weights alike and shifts the mean, so features measured against it do not change with gain at all; digital silence
 * has weight 0 and leaves it as it was, and a second of noise 40 dB below a voice counts as 10 ms of it. A plain
 * running mean (as in cepstral mean normalisation, or the divisor of PCEN, arXiv 1607.05666) takes silence for signal:
 * the same word then looks different after a pause than after a word, and PCEN with its time constant of 0.4 s flattens
 * rain or an engine within a second. A maximum would follow every click; here one frame 30 dB above three seconds of
 * voice moves the level by 3 dB.
 */
export class Loudness {
  private mean = -Infinity
  private weight = 0
  /** Per band, where they are equalised. */
  private readonly means: Float64Array
  private readonly weights: Float64Array
  private readonly keep: number

  /** `hop`: seconds from frame to frame. */
  constructor(
    private readonly spec: LevelSpec,
    private readonly bands: number,
    hop: number,
  ) {
    const equalised = spec.equalise === undefined ? 0 : bands
    this.means = new Float64Array(equalised).fill(-Infinity)
    this.weights = new Float64Array(equalised)
    this.keep = Math.exp(-hop / spec.memory)
  }

  /** Takes in the energies [bands] of a frame, which begin at `from`. */
  add(energies: Float64Array, from: number): void {
    let sum = 0
    for (let m = 0; m < this.bands; m++) sum += energies[from + m]
    const weight = Math.sqrt(sum)
    this.weight = this.weight * this.keep + weight
    this.mean = moved(this.mean, this.weight, weight, sum)
    const { means, weights } = this
    for (let m = 0; m < means.length; m++) {
      const energy = energies[from + m]
      const weight = Math.sqrt(energy)
      weights[m] = weights[m] * this.keep + weight
      means[m] = moved(means[m], weights[m], weight, energy)
    }
  }

  /**
   * [bands] at `to` from energies [bands] at `from`: 1 + d / 20 with d the decibels above the level as it is now, at
   * least -range. So 1 is the level itself, and a range of 60 dB gives numbers from -2 to about 1.5, which need no
   * further scaling.
   */
  measure(energies: Float64Array, from: number, out: Float32Array, to: number): void {
    const { quietest, range, equalise } = this.spec
    const level = Math.max(this.mean, quietest)
    for (let m = 0; m < this.bands; m++) {
      const against = equalise === undefined ? level : Math.max(this.means[m], level - equalise)
      out[to + m] = 1 + Math.max(decibels(energies[from + m]) - against, -range) / 20
    }
  }
}

const decibels = (energy: number) => 10 * Math.log10(energy)

/**
 * A weighted mean with one more member; `total` is the sum of the weights with it. Weight 0 changes nothing, even where
 * the sum has faded to 0.
 */
function moved(mean: number, total: number, weight: number, energy: number): number {
  if (weight === 0) return mean
  return mean === -Infinity ? decibels(energy) : mean + (weight / total) * (decibels(energy) - mean)
}
