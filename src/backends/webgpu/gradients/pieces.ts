import type { Direction, Part } from '../../segments.js'
import type { Kernel } from '../kernel.js'
import type { Machine } from '../machine.js'

/** Of what is held of the rows of some pieces together. */
const heldBytes = 64 * 2 ** 20

/**
 * Segments in pieces of up to `most` rows. `pieces`: first row in reading order, rows, number of the piece, and its number counted from the
 * end of its segment. `segments`: first row in reading order, rows, first piece.
 */
export function piecesOf(parts: readonly Part[], direction: Direction, most: number) {
  const [segments, pieces]: [number[], number[]] = [[], []]
  const backwards = direction === 'reverse'
  for (const { from, rows } of parts) {
    const start = backwards ? from + rows - 1 : from
    const before = pieces.length / 4
    const count = Math.ceil(rows / most)
    segments.push(start, rows, before)
    for (let i = 0; i < count; i++) {
      const t = i * most
      pieces.push(backwards ? start - t : start + t, Math.min(most, rows - t), before + i, before + count - 1 - i)
    }
  }
  return { segments: Int32Array.from(segments), pieces: Int32Array.from(pieces), count: pieces.length / 4 }
}

/** As many pieces at a time as may be looked at together, `bytes` each. */
export function* someOf(machine: Machine, pieces: Int32Array, bytes: number): Generator<Int32Array> {
  const most = 4 * Math.max(1, Math.floor(Math.min(heldBytes, machine.roomBytes) / bytes))
  for (let from = 0; from < pieces.length; from += most) yield pieces.subarray(from, from + most)
}

/** Row `t` of a piece, in reading order. */
export const rowOf = `
fn row_of(piece: u32, t: u32) -> u32 {
  return u32(pieces[piece] + select(i32(t), -i32(t), p.backwards == 1u));
}`

/** Adds rows of x, of which there are R for each piece, to those of y that they are about. */
export const spreadKernel: Kernel = {
  name: 'gradient spread',
  reads: ['x'],
  writes: ['y'],
  tables: ['pieces'],
  counts: ['R', 'count', 'cols', 'backwards'],
  threads: 64,
  library: rowOf,
  body: `
  let i = block * 64u + lane;
  if (i >= p.count * p.R * p.cols) { return; }
  let r = i / p.cols;
  let piece = r / p.R * 4u;
  if (r % p.R >= u32(pieces[piece + 1u])) { return; }
  y[p.y_at + row_of(piece, r % p.R) * p.y_step + i % p.cols] += x[p.x_at + r * p.x_step + i % p.cols];`,
}
