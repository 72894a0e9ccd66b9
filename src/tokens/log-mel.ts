import type { LogMelSpec } from '../spec.js'
import { Loudness } from './loudness.js'
import { MelEnergies } from './mel-energies.js'

/**
 * Log-mel features of one recording, piece by piece: the energies of the mel bands, normalised by the loudness of the
 * recording. The features are the same bits however the samples were cut. Memory is one window, the frames of the
 * lookahead and the features given last: those of the next call take their place.
 */
export class LogMel {
  private readonly energies: MelEnergies
  private readonly normaliser: LogMelNormaliser

  /** `spec` keeps `logMelSchema`. */
  constructor(spec: LogMelSpec) {
    this.energies = new MelEnergies(spec)
    this.normaliser = new LogMelNormaliser(spec)
  }

  /** The features that these samples complete, [frames, n_mels]; often none. */
  push(samples: Float32Array): Float32Array {
    return this.normaliser.push(this.energies.push(samples))
  }

  /** All that remain. The recording is over. */
  end(): Float32Array {
    return this.normaliser.push(this.energies.end(), true)
  }
}

/** Energies of frames to features, `level.lookahead` seconds later. */
export class LogMelNormaliser {
  private readonly loudness: Loudness
  /** Frames. */
  private readonly lookahead: number
  /**
   * [waiting.., n_mels] energies. The first `waiting` frames have been added to the loudness and wait for their
   * lookahead.
   */
  private energies = new Float64Array(0)
  private waiting = 0
  /** [frames.., n_mels] */
  private features = new Float32Array(0)

  constructor(private readonly spec: LogMelSpec) {
    const seconds = frameSeconds(spec)
    this.loudness = new Loudness(spec.level, spec.n_mels, seconds)
    this.lookahead = Math.round(spec.level.lookahead / seconds)
  }

  /**
   * Takes energies [frames, n_mels], gives the features [frames, n_mels] of those whose lookahead is complete; with
   * `last`, of all.
   */
  push(added: Float64Array, last = false): Float32Array {
    const { n_mels } = this.spec
    const before = this.waiting
    const frames = before + added.length / n_mels
    const energies = this.held(added, frames)
    const ready = last ? frames : Math.max(0, frames - this.lookahead)
    if (this.features.length < ready * n_mels) this.features = new Float32Array(ready * n_mels)
    const { loudness, lookahead, features } = this
    for (let t = before; t < frames; t++) {
      loudness.add(energies, t * n_mels)
      const at = (t - lookahead) * n_mels
      if (at >= 0) loudness.measure(energies, at, features, at)
    }
    for (let t = Math.max(0, frames - lookahead); t < ready; t++)
      loudness.measure(energies, t * n_mels, features, t * n_mels)
    energies.copyWithin(0, ready * n_mels, frames * n_mels)
    this.waiting = frames - ready
    return this.features.subarray(0, ready * n_mels)
  }

  /** The energies of the frames that wait, and after them those added. */
  private held(added: Float64Array, frames: number): Float64Array {
    const { n_mels } = this.spec
    const { energies, waiting } = this
    if (energies.length < frames * n_mels) {
      this.energies = new Float64Array(frames * n_mels)
      this.energies.set(energies.subarray(0, waiting * n_mels))
    }
    this.energies.set(added, waiting * n_mels)
    return this.energies
  }
}

/** Seconds that one frame stands for. */
export const frameSeconds = ({ hop, sample_rate }: LogMelSpec) => hop / sample_rate
