import type { Tensor2D } from '@tensorflow/tfjs-core'
import type { Part } from '../segments.js'
import type { Held } from './held.js'
import type { Tfjs } from './load.js'

/** Rows from .. to - 1 of a chunk in reading order, so few that the states of all of them fit into memory. */
export interface Tile {
  from: number
  to: number
  /** How many rows of its sequence's segment are before each row. */
  positions: Int32Array
  /** [to - from, W] what the state is before each row that does not have it from a row of the tile, elsewhere zero; null: zero everywhere. */
  incoming: Tensor2D | null
}

/** Of a tile: outputs [rows, E], and the state after each row [rows, W]. */
export interface Scanned {
  y: Tensor2D
  states: Tensor2D
}

/**
 * Scans a chunk in reading order in tiles with `tileNumbers` numbers of states, and takes the states, of W numbers, from tile to tile and in and out of the slots of
 * `state` [slots W / cols, cols].
 */
export function overTiles(
  tf: Tfjs,
  parts: readonly Part[],
  W: number,
  tileNumbers: number,
  state: Held | null,
  scan: (tile: Tile) => Scanned,
): Tensor2D {
  const slots = state ? (state.rows * state.cols) / W : 0
  const zero: Tensor2D = tf.zeros([1, W])
  /** Row 0 zero, then the slots. */
  const carried = state ? tf.concat([zero, tf.reshape(state.read(), [slots, W]) as Tensor2D], 0) : zero
  const take = (x: Tensor2D, rows: Int32Array): Tensor2D => tf.gather(x, tf.tensor1d(rows, 'int32'))

  const positions = Int32Array.from(parts.flatMap(({ rows }) => Array.from({ length: rows }, (_, t) => t)))
  const T = positions.length
  const entry = new Int32Array(T)
  for (const { from, slot, resumes } of parts) if (resumes && state) entry[from] = 1 + slot
  const leaving = parts.filter(({ slot }) => slot >= 0 && state)

  const size = Math.max(1, Math.floor(tileNumbers / W))
  const ys: Tensor2D[] = []
  const left: { slot: number; value: Tensor2D }[] = []
  let last: Tensor2D | null = null
  for (let from = 0; from < T; from += size) {
    const to = Math.min(T, from + size)
    const [y, after, ...values] = tf.tidy(() => {
      const sources = entry.slice(from, to)
      if (last && positions[from] > 0) sources[0] = 1 + slots
      const incoming = sources.some((source) => source > 0)
        ? take(last ? tf.concat([carried, last], 0) : carried, sources)
        : null
      const scanned = scan({ from, to, positions: positions.subarray(from, to), incoming })
      const row = (r: number) => tf.slice(scanned.states, [r - from, 0], [1, W])
      return [scanned.y, row(to - 1), ...ending(from, to).map((part) => row(part.from + part.rows - 1))]
    })
    ys.push(y)
    left.push(...ending(from, to).map(({ slot }, i) => ({ slot, value: values[i] })))
    last = after
  }
  if (state && left.length > 0) {
    const sources = Int32Array.from({ length: slots }, (_, slot) => 1 + slot)
    for (const [i, { slot }] of left.entries()) sources[slot] = 1 + slots + i
    const all = tf.concat([carried, ...left.map(({ value }) => value)], 0)
    state.replace(tf.reshape(take(all, sources), [state.rows, state.cols]))
  }
  return tf.concat(ys, 0)

  /** Parts with a slot that end within rows from .. to - 1. */
  function ending(from: number, to: number): Part[] {
    return leaving.filter((part) => part.from + part.rows > from && part.from + part.rows <= to)
  }
}

/** Steps 1, 2, 4, ... that it takes until each row has seen all rows of its segment in the tile (Hillis and Steele 1986). */
export function doublings({ positions }: Tile): number[] {
  const longest = positions.reduce((max, position) => Math.max(max, position), 0)
  const steps: number[] = []
  for (let d = 1; d < positions.length && d <= longest; d *= 2) steps.push(d)
  return steps
}
