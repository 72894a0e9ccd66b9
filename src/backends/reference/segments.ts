import { type Direction, type Part, readingOrder, type Segments } from '../segments.js'

/** One segment in reading order: step t = 0 .. rows - 1 is row `row(t)`. */
export interface Reading extends Part {
  row(t: number): number
}

export function readings(segments: Segments, direction: Direction, rows: number): Reading[] {
  return readingOrder(segments, direction, rows).map((part) => ({
    ...part,
    row: (t) => (direction === 'forward' ? part.from + t : part.from + part.rows - 1 - t),
  }))
}
