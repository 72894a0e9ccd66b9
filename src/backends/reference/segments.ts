import type { Direction, Segments } from '../backend.js'

/** One segment in reading order: step t = 0 .. length - 1 is row `row(t)`. */
export interface Reading {
  length: number
  row(t: number): number
  /** Starts from the carried state. */
  carriedIn: boolean
  /** Its end is the state to carry on. */
  carriedOut: boolean
}

/** The segments of a chunk in reading order: the first may start from the carried state, the last leaves it. */
export function readings({ offsets, continues, goesOn }: Segments, direction: Direction): Reading[] {
  const S = offsets.length - 1
  const forward = direction === 'forward'
  return Array.from({ length: S }, (_, i) => {
    const s = forward ? i : S - 1 - i
    const from = offsets[s]
    const to = offsets[s + 1]
    return {
      length: to - from,
      row: (t) => (forward ? from + t : to - 1 - t),
      carriedIn: i === 0 && (forward ? continues : goesOn),
      carriedOut: i === S - 1,
    }
  })
}
