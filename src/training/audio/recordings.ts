import type { Targets } from '../data/targets.js'

/** Recordings as energies of mel bands, packed in shared memory. */
export interface Recordings extends Targets {
  kind: 'audio'
  /** Each recording at each speed; the first is as it was recorded. */
  versions: Energies[]
}

export interface Energies {
  /** [frames, n_mels], see `toStored`. */
  stored: Int16Array
  /** [recordings + 1], in frames. */
  offsets: Float64Array
}

const silence = -32768

/** An energy in hundredths of a decibel: a twentieth of a percent, far below what a model can resolve, in two bytes. */
export function toStored(energy: number): number {
  return energy > 0 ? Math.max(silence + 1, Math.round(1000 * Math.log10(energy))) : silence
}

const energies = Float64Array.from({ length: 65536 }, (_, i) => (i === 0 ? 0 : 10 ** ((i + silence) / 1000)))

/** And back. */
export const fromStored = (stored: number): number => energies[stored - silence]
