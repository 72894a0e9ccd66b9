import type { Tensor1D, Tensor2D, Tensor3D } from '@tensorflow/tfjs-core'
import type { Part } from '../segments.js'
import type { Held } from './held.js'
import type { Tfjs } from './load.js'
import { type Decays, evensFirst, statesBefore } from './prefix.js'
import { rowsAt } from './reading.js'

/** 2^k rows of a chunk in reading order, so few that the states of all of them fit into memory, put in `evensFirst` order. */
export interface Tile {
  /** [rows] where they are in the chunk. After its end the last one stands in, on which no other depends. */
  rows: Tensor1D
  count: number
  /** [rows, 1, 1] 0 for the first row of a segment, to which nothing comes from the row before; elsewhere 1. */
  goesOn: Tensor3D
  /** [rows, W] the state of its slot at the first row of a segment that resumes, elsewhere zero; null: zero everywhere. */
  resumed: Tensor2D | null
  /** [1, W] the state after the row before the tile. */
  start: Tensor2D
}

/** Of a tile: outputs [rows, E], and the state after each row [rows, W]. */
export interface Scanned {
  y: Tensor2D
  states: Tensor2D
}

/**
 * The state that comes into each row of a tile by h = decay h + input: that after the row before, or where a segment begins that of its
 * slot, or zero. input [rows, ...] -> [rows, ...].
 */
export function statesInto(
  tf: Tfjs,
  decay: Tensor3D,
  input: Tensor3D,
  { goesOn, resumed, start }: Tile,
  decays: Decays<Tensor3D>,
): Tensor3D {
  const asInput = (x: Tensor2D): Tensor3D => tf.reshape(x, [x.shape[0], input.shape[1], input.shape[2]])
  const slots = resumed && asInput(resumed)
  const inputs: Tensor3D = slots ? tf.add(input, decays.decayed(slots, decay)) : input
  const before = statesBefore(tf, tf.mul<Tensor3D>(decay, goesOn), inputs, asInput(start), decays)
  const goingOn: Tensor3D = tf.mul(before, goesOn)
  return slots ? tf.add(goingOn, slots) : goingOn
}

/**
 * Scans a chunk in reading order in tiles with `tileNumbers` numbers of states, and takes the states, of W numbers, from tile to tile
 * and in and out of the slots of `state` [slots W / cols, cols].
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

  const T = parts.reduce((sum, { rows }) => sum + rows, 0)
  const goesOn = new Float32Array(T).fill(1)
  /** Of each row, the row of `carried` that comes in. */
  const entry = new Int32Array(T)
  for (const { from, slot, resumes } of parts) {
    goesOn[from] = 0
    if (resumes && state) entry[from] = 1 + slot
  }
  const leaving = parts.filter(({ slot }) => slot >= 0 && state)

  /** Of a whole tile: the highest power of two whose states are few enough. */
  const whole = 2 ** (31 - Math.clz32(Math.max(1, tileNumbers / W)))
  const ys: Tensor2D[] = []
  const left: { slot: number; value: Tensor2D }[] = []
  let start = zero
  for (let from = 0, size = 0; from < T; from += size) {
    const count = Math.min(whole, 2 ** (32 - Math.clz32(T - from - 1)))
    size = Math.min(count, T - from)
    const order = evensFirst(count)
    const rows = order.map((i) => from + Math.min(i, size - 1))
    const ending = leaving.filter((part) => part.from + part.rows > from && part.from + part.rows <= from + size)
    const [y, last, ...values] = tf.tidy(() => {
      const sources = rows.map((row) => entry[row])
      const resumed = sources.some((source) => source > 0) ? rowsAt(tf, carried, sources) : null
      const going = tf.tensor3d(
        rows.map((row) => goesOn[row]),
        [count, 1, 1],
      )
      const { y, states } = scan({ rows: tf.tensor1d(rows, 'int32'), count, goesOn: going, resumed, start })
      const after = (row: number) => tf.slice(states, [order[row - from], 0], [1, W])
      const inOrder = rowsAt(tf, y, order.slice(0, size))
      return [inOrder, after(from + size - 1), ...ending.map((part) => after(part.from + part.rows - 1))]
    })
    ys.push(y)
    start = last
    left.push(...ending.map(({ slot }, i) => ({ slot, value: values[i] })))
  }
  if (state && left.length > 0) {
    const sources = Int32Array.from({ length: slots }, (_, slot) => 1 + slot)
    for (const [i, { slot }] of left.entries()) sources[slot] = 1 + slots + i
    const all = tf.concat([carried, ...left.map(({ value }) => value)], 0)
    state.replace(tf.reshape(rowsAt(tf, all, sources), [state.rows, state.cols]))
  }
  return tf.concat(ys, 0)
}
