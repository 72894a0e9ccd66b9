import type { LogMelSpec } from '../spec.js'

/** Hertz to mel, `2595 log10(1 + f / 700)` (O'Shaughnessy 1987; the HTK scale), and back. */
export const hzToMel = (hz: number) => 2595 * Math.log10(1 + hz / 700)
export const melToHz = (mel: number) => 700 * (10 ** (mel / 2595) - 1)

/** One triangle: what it takes of the bins first .. first + weights.length - 1. */
export interface MelBand {
  first: number
  weights: Float64Array
}

/**
 * Triangles of height 1 over the bins of a power spectrum [n_fft / 2 + 1], linear in hertz, their corners at equal
 * distances in mel: band m rises from corner m to corner m + 1 and falls to corner m + 2, from f_min to f_max. A band
 * too narrow to meet a bin has no weights.
 */
export function melBands({ sample_rate, n_fft, n_mels, f_min, f_max }: LogMelSpec): MelBand[] {
  const [low, high] = [hzToMel(f_min), hzToMel(f_max)]
  const corners = Array.from({ length: n_mels + 2 }, (_, i) => melToHz(low + ((high - low) * i) / (n_mels + 1)))
  return Array.from({ length: n_mels }, (_, m) => {
    const [left, top, right] = corners.slice(m, m + 3)
    const height = (bin: number) => {
      const hz = (bin * sample_rate) / n_fft
      return Math.max(0, Math.min((hz - left) / (top - left), (right - hz) / (right - top)))
    }
    const [first, last] = [Math.floor((left * n_fft) / sample_rate), Math.ceil((right * n_fft) / sample_rate)]
    const under = Array.from({ length: Math.min(last, n_fft / 2) - first + 1 }, (_, i) => first + i)
    const bins = under.filter((bin) => height(bin) > 0)
    return { first: bins[0] ?? 0, weights: Float64Array.from(bins, height) }
  })
}
