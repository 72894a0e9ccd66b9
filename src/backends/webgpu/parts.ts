import { type Direction, type Part, readingOrder, type Segments } from '../segments.js'

/**
 * The segments as a table of four integers each: first row, rows, block of the state (-1: none), 1 if it starts from there. In the order
 * of the rows, whatever the direction.
 */
export function partsOf(segments: Segments, direction: Direction, rows: number): { parts: Part[]; table: Int32Array } {
  const parts = readingOrder(segments, direction, rows)
  if (direction === 'reverse') parts.reverse()
  return { parts, table: Int32Array.from(parts.flatMap((part) => [part.from, part.rows, part.slot, +part.resumes])) }
}

/** The last of `count` entries of `parts`, `width` integers each, whose first integer is not above `row`. */
export const findPart = (width: number) => `
fn find_part(row: i32, count: u32) -> u32 {
  var low = 0u;
  var high = count;
  while (high - low > 1u) {
    let middle = (low + high) / 2u;
    if (parts[${width}u * middle] <= row) { low = middle; } else { high = middle; }
  }
  return ${width}u * low;
}`
