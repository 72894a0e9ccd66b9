import type { LogMelSpec } from '../spec.js'
import { Level } from './level.js'
import { MelEnergies } from './mel-energies.js'

/**
 * Log-mel features of one recording, piece by piece: the energies of the mel bands, measured against the level of the
 * recording. The features are the same bits however the samples were cut. Memory is one window and the frames of the lookahead.
 */
export class LogMel {
  private readonly energies: MelEnergies
  private readonly levelled: Levelled

  /** Errors: a spec that contradicts itself. */
  constructor(spec: LogMelSpec) {
    this.energies = new MelEnergies(spec)
    this.levelled = new Levelled(spec)
  }

  /** The features that these samples complete, [frames, n_mels]; often none. */
  push(samples: Float32Array): Float32Array {
    return this.levelled.push(this.energies.push(samples))
  }

  /** All that remain. The recording is over. */
  end(): Float32Array {
    const last = this.levelled.push(this.energies.end())
    const waited = this.levelled.end()
    const all = new Float32Array(last.length + waited.length)
    all.set(last)
    all.set(waited, last.length)
    return all
  }
}

/** Energies of frames to features, `level.lookahead` seconds later. */
export class Levelled {
  private readonly level: Level
  private readonly lookahead: number
  /** Frames that wait for their lookahead. */
  private waiting: Float64Array[] = []

  constructor(private readonly spec: LogMelSpec) {
    const span = frameSeconds(spec)
    this.level = new Level(spec.level, spec.n_mels, span)
    this.lookahead = Math.round(spec.level.lookahead / span)
  }

  /** Takes energies [n_mels] of frames, gives the features [frames, n_mels] of those whose lookahead is complete. */
  push(frames: readonly Float64Array[]): Float32Array {
    const { waiting, lookahead } = this
    const { n_mels } = this.spec
    const ready = Math.max(0, waiting.length + frames.length - lookahead)
    const features = new Float32Array(ready * n_mels)
    let made = 0
    for (const energies of frames) {
      this.level.add(energies)
      waiting.push(energies)
      if (waiting.length <= lookahead) continue
      this.level.measure(waiting.shift()!, features.subarray(made * n_mels, ++made * n_mels))
    }
    return features
  }

  end(): Float32Array {
    const { n_mels } = this.spec
    const features = new Float32Array(this.waiting.length * n_mels)
    for (const [i, energies] of this.waiting.splice(0).entries())
      this.level.measure(energies, features.subarray(i * n_mels, (i + 1) * n_mels))
    return features
  }
}

/** Seconds that one frame stands for. */
export const frameSeconds = ({ hop, sample_rate }: LogMelSpec) => hop / sample_rate
