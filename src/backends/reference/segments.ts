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

/** The segments of a chunk, each in reading order. */
export function readings(segments: Segments, direction: Direction): Reading[] {
  const { offsets, continues, goesOn } = segments
  const last = offsets.length - 2
  return Array.from({ length: last + 1 }, (_, s) => {
    const from = offsets[s]
    const to = offsets[s + 1]
    return direction === 'forward'
      ? { length: to - from, row: (t) => from + t, carriedIn: s === 0 && continues, carriedOut: s === last }
      : { length: to - from, row: (t) => to - 1 - t, carriedIn: s === last && goesOn, carriedOut: s === 0 }
  })
}
