import type { Backend, Tensor } from '../backends/backend.js'
import type { Segments } from '../backends/segments.js'

/** Angles per position of rotary embeddings (arXiv 2104.09864), the first turns fastest. */
export const ropeFrequencies = (pairs: number, theta: number): number[] =>
  Array.from({ length: pairs }, (_, i) => theta ** (-i / pairs))

/**
 * Cosines, then sines of the angles of each row, [T, 2 pairs], by its position in its sequence. Taken in float64: a float32 angle is off by
 * a thousandth after some thousand positions.
 */
export function turnsOf(b: Backend, { offsets, start }: Segments, frequencies: readonly number[]): Tensor {
  const [T, n] = [offsets[offsets.length - 1], frequencies.length]
  const turns = new Float64Array(T * 2 * n)
  for (let s = 0; s < start.length; s++)
    for (let t = offsets[s]; t < offsets[s + 1]; t++)
      for (let i = 0; i < n; i++) {
        const angle = (start[s] + t - offsets[s]) * frequencies[i]
        turns[t * 2 * n + i] = Math.cos(angle)
        turns[t * 2 * n + n + i] = Math.sin(angle)
      }
  return b.upload(turns, T, 2 * n)
}
