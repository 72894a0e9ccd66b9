import type { LogMelSpec } from '../spec.js'
import { PowerSpectrum } from './fft.js'
import { type MelBand, melBands } from './mel.js'

/**
 * Energies of mel bands of one recording, piece by piece. Frame j stands for the samples j hop .. (j + 1) hop - 1, and its
 * window is centred on them; before the start and after the end there are zeros, so L samples give ceil(L / hop) frames. Every
 * frame is computed from its own samples, in float64: the energies are the same bits however the samples were cut. Memory is one window
 * and the energies given last: those of the next call take their place.
 */
export class MelEnergies {
  private readonly spectrum: PowerSpectrum
  private readonly bands: MelBand[]
  private readonly hann: Float64Array
  /** [n_fft], zero beyond the window. */
  private readonly padded: Float64Array
  /** [n_fft / 2 + 1] */
  private readonly power: Float64Array
  /** [held..] The first `held` are those that later frames still need, from the first sample of the next window on; zeros before the start. */
  private samples: Float64Array
  private held: number
  private read = 0
  private made = 0
  /** The last sample; NaN before the first. */
  private previous = Number.NaN
  /** [frames.., n_mels] */
  private energies = new Float64Array(0)

  /** Errors: a spec that contradicts itself (`logMelProblem`). */
  constructor(private readonly spec: LogMelSpec) {
    const problem = logMelProblem(spec)
    if (problem) throw new Error(problem)
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

/** A config may come from a stranger, and what it says is allocated: samples of an FFT, and seconds, at most. */
const mostSamples = 65_536
const mostSeconds = 60

/** What contradicts itself in a spec, or is out of bounds, in one line. */
export function logMelProblem(spec: LogMelSpec): string | undefined {
  const { sample_rate, n_fft, window, hop, n_mels, f_min, f_max, tail = 0, level } = spec
  for (const [name, value] of Object.entries({ sample_rate, n_fft, window, hop, n_mels }))
    if (!Number.isInteger(value) || value < 1) return `log_mel.${name} is ${value}, expected a whole number above 0`
  if (n_fft > mostSamples) return `log_mel.n_fft is ${n_fft}, expected at most ${mostSamples}`
  if ((n_fft & (n_fft - 1)) !== 0) return `log_mel.n_fft is ${n_fft}, expected a power of two`
  if (window > n_fft) return `log_mel: a window of ${window} samples does not fit an FFT of ${n_fft}`
  // A Hann window of one sample is nothing divided by nothing.
  if (window < 2) return `log_mel.window is ${window}, expected at least 2`
  if (window < hop) return `log_mel: a window of ${window} samples leaves gaps at a hop of ${hop}`
  if (!(f_min >= 0 && f_min < f_max && f_max <= sample_rate / 2))
    return `log_mel: bands from ${f_min} to ${f_max} Hz, expected 0 <= f_min < f_max <= ${sample_rate / 2}`
  if (!(level?.memory > 0 && level.lookahead >= 0 && level.range > 0 && tail >= 0))
    return 'log_mel: expected level.memory > 0, level.lookahead >= 0, level.range > 0 and tail >= 0'
  for (const [name, seconds] of Object.entries({ tail, 'level.lookahead': level.lookahead }))
    if (seconds > mostSeconds) return `log_mel.${name} is ${seconds} seconds, expected at most ${mostSeconds}`
  const { preemphasis = 0 } = spec
  for (const [name, value] of Object.entries({ tail, preemphasis, ...level, quietest: level.quietest }))
    if (!Number.isFinite(value)) return `log_mel: ${name} is ${value}, expected a finite number`
  const dead = melBands(spec).findIndex(({ weights }) => weights.length === 0)
  if (dead >= 0)
    return `log_mel: band ${dead} of ${n_mels} meets no bin of an FFT of ${n_fft} samples; fewer bands or a longer FFT are needed`
}
