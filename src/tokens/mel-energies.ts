import type { LogMelSpec } from '../spec.js'
import { PowerSpectrum } from './fft.js'
import { type MelBand, melBands } from './mel.js'

/**
 * Energies of mel bands of one recording, piece by piece. Frame j stands for the samples j hop .. (j + 1) hop - 1, and
 * its window is centred on them; before the start and after the end there are zeros, so L samples give ceil(L / hop)
 * frames. Every frame is computed from its own samples, in float64: the energies are the same bits however the samples
 * were cut. Memory is one window and the energies given last: those of the next call take their place.
 */
export class MelEnergies {
  private readonly spectrum: PowerSpectrum
  private readonly bands: MelBand[]
  private readonly hann: Float64Array
  /** [n_fft], zero beyond the window. */
  private readonly padded: Float64Array
  /** [n_fft / 2 + 1] */
  private readonly power: Float64Array
  /**
   * [held..] The first `held` are those that later frames still need, from the first sample of the next window on;
   * zeros before the start.
   */
  private samples: Float64Array
  private held: number
  private read = 0
  private made = 0
  /** The last sample; NaN before the first. */
  private previous = Number.NaN
  /** [frames.., n_mels] */
  private energies = new Float64Array(0)

  /** `spec` keeps `logMelSchema`. */
  constructor(private readonly spec: LogMelSpec) {
    const { n_fft, window, hop } = spec
    this.spectrum = new PowerSpectrum(n_fft)
    this.bands = melBands(spec)
    this.padded = new Float64Array(n_fft)
    this.power = new Float64Array(n_fft / 2 + 1)
    this.hann = Float64Array.from({ length: window }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / window))
    // A sine of amplitude 1 has |X| = sum of the window / 2 at its bin: that is 0 dB.
    const full = this.hann.reduce((a, b) => a + b) / 2
    for (let i = 0; i < window; i++) this.hann[i] /= full
    this.held = Math.floor((window - hop) / 2)
    this.samples = new Float64Array(this.held)
  }

  /** [frames, n_mels] of the frames that these samples complete; often none. */
  push(samples: Float32Array): Float64Array {
    this.append(samples)
    this.read += samples.length
    return this.frames(Number.POSITIVE_INFINITY)
  }

  /** All that remain, and the spec's `tail` of silence. The recording is over. */
  end(): Float64Array {
    const { window, hop, sample_rate, tail = 0 } = this.spec
    const silence = Math.round(tail * sample_rate)
    this.append(new Float32Array(window + hop + silence), true)
    return this.frames(Math.ceil((this.read + silence) / hop))
  }

  private append(samples: Float32Array, silence = false): void {
    const { preemphasis = 0 } = this.spec
    const from = this.held
    this.held += samples.length
    if (this.samples.length < this.held) {
      const larger = new Float64Array(this.held)
      larger.set(this.samples.subarray(0, from))
      this.samples = larger
    }
    if (silence || preemphasis === 0) {
      this.samples.set(samples, from)
      return
    }
    // The sample before the first is taken to be like it, so that an offset does not begin with a click.
    let previous = Number.isNaN(this.previous) ? samples[0] : this.previous
    for (let i = 0; i < samples.length; i++) {
      this.samples[from + i] = samples[i] - preemphasis * previous
      previous = samples[i]
    }
    if (samples.length > 0) this.previous = previous
  }

  /** The frames whose samples are there, below `total`. */
  private frames(total: number): Float64Array {
    const { window, hop, n_mels } = this.spec
    const ready = this.held < window ? 0 : Math.floor((this.held - window) / hop) + 1
    const frames = Math.min(ready, total - this.made)
    if (this.energies.length < frames * n_mels) this.energies = new Float64Array(frames * n_mels)
    for (let j = 0; j < frames; j++) this.measure(j * hop, j * n_mels)
    this.made += frames
    this.samples.copyWithin(0, frames * hop, this.held)
    this.held -= frames * hop
    return this.energies.subarray(0, frames * n_mels)
  }

  /** Energies at `to` of the window that begins with the sample `first`. */
  private measure(first: number, to: number): void {
    const { samples, hann, padded, power, bands, energies } = this
    for (let i = 0; i < hann.length; i++) padded[i] = samples[first + i] * hann[i]
    this.spectrum.of(padded, power)
    for (let m = 0; m < bands.length; m++) {
      const { first, weights } = bands[m]
      let sum = 0
      for (let i = 0; i < weights.length; i++) sum += weights[i] * power[first + i]
      energies[to + m] = sum
    }
  }
}
