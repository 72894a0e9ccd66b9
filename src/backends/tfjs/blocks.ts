import type { Tensor2D, Tensor3D } from '@tensorflow/tfjs-core'
import type { Part } from '../segments.js'
import type { Held } from './held.js'
import type { Tfjs } from './load.js'
import { rowsAt } from './reading.js'
import { overTiles, type Tile } from './tiles.js'

/** Rows of a block at the most. Within a block what rows give each other is matrix products; from block to block go states. */
const mostRows = 64

/** What a scan in blocks is given, in reading order. */
interface InBlocks<Name extends string> {
  parts: readonly Part[]
  /** Heads. */
  H: number
  /** [T, H any] each, the numbers of a head side by side. */
  rows: Record<Name, Tensor2D>
  /** Numbers of a state. */
  W: number
  state: Held | null
  tileNumbers: number
}

/** Outputs of some blocks, [blocks H, Q, V], and the state after each of them, [blocks, W]. */
export interface Computed {
  y: Tensor3D
  states: Tensor2D
}

/**
 * Scans a chunk in blocks of Q rows, each of one segment, whose end is filled up with rows of zeros: `overTiles`, with blocks in the place of
 * rows. `compute` gets the rows of every head by itself, [blocks H, Q, any]. -> [T, H V]
 */
export function overBlocks<Name extends string>(
  tf: Tfjs,
  { parts, H, rows, W, state, tileNumbers }: InBlocks<Name>,
  compute: (x: Record<Name, Tensor3D>, tile: Tile) => Computed,
): Tensor2D {
  const { Q, blocks, sources, places } = blocksOf(parts)
  const n = sources.length / Q
  /** [T, H w] -> [n, H Q w] */
  function inBlocks(x: Tensor2D): Tensor2D {
    const filled = rowsAt(tf, tf.concat([tf.zeros([1, x.shape[1]]), x], 0), sources)
    const byHead = tf.transpose(tf.reshape(filled, [n, Q, H, x.shape[1] / H]), [0, 2, 1, 3])
    return tf.reshape(byHead, [n, Q * x.shape[1]])
  }
  const whole = mapped(rows, inBlocks)
  // The matrices of a block may be larger than its state.
  const y = overTiles(tf, blocks, W, tileNumbers / Math.max(1, (H * Q * Q) / W), state, (tile) => {
    const taken = (x: Tensor2D): Tensor3D =>
      tf.reshape(tf.gather(x, tile.rows), [tile.count * H, Q, x.shape[1] / H / Q])
    const { y, states } = compute(mapped(whole, taken), tile)
    return { y: tf.reshape(y, [tile.count, H * Q * y.shape[2]]), states }
  })
  const V = y.shape[1] / H / Q
  const byRow = tf.transpose(tf.reshape(y, [n, H, Q, V]), [0, 2, 1, 3])
  return rowsAt(tf, tf.reshape(byRow, [n * Q, H * V]), places)
}

function mapped<Name extends string, X, Y>(all: Record<Name, X>, to: (x: X) => Y): Record<Name, Y> {
  return Object.fromEntries(Object.entries<X>(all).map(([name, x]) => [name, to(x)])) as Record<Name, Y>
}

/** The segments, counted in blocks of Q rows; of each row of a block, 1 + the row of the chunk that lies there, or 0; and of each row its place. */
function blocksOf(parts: readonly Part[]) {
  const longest = parts.reduce((most, { rows }) => Math.max(most, rows), 1)
  const Q = Math.min(mostRows, 2 ** Math.ceil(Math.log2(longest)))
  const [sources, places]: number[][] = [[], []]
  const blocks = parts.map((part): Part => {
    const from = sources.length / Q
    for (let t = 0; t < part.rows; t++) {
      places.push(sources.length)
      sources.push(1 + part.from + t)
    }
    while (sources.length % Q > 0) sources.push(0)
    return { ...part, from, rows: sources.length / Q - from }
  })
  return { Q, blocks, sources, places }
}

/** What is left of states and of what rows give, in blocks; n = blocks H. */
export interface Remains {
  /** [n, Q, Q]: in row i of what row j gives, at (j, i); 0 where i < j. */
  between: Tensor3D
  /** [n, Q, 1]: in each row of the state before the block. */
  fromStart: Tensor3D
  /** [n, Q, 1]: after the block of what each row gives. */
  toEnd: Tensor3D
  /** [n, 1, 1]: after the block of the state before it. */
  through: Tensor3D
}

/**
 * From logarithms of the decays of rows, [n, Q, 1]. Those between two rows are summed up, and no sum is the difference of two others: it would be
 * of two large ones, and off.
 */
export function remainsOf(tf: Tfjs, logs: Tensor3D): Remains {
  const [n, Q] = logs.shape
  const ones = tf.ones([Q + 1, Q])
  // Row j is of what there was before row j: that decays from row j on, and row j - 1 has it whole.
  const counted = tf.mul<Tensor3D>(tf.reshape(logs, [n, 1, Q]), tf.linalg.bandPart(ones, 0, -1))
  const left = tf.mul<Tensor3D>(tf.exp(tf.cumsum(counted, 2)), tf.linalg.bandPart(ones, 1, -1))
  const last = tf.slice(left, [0, 0, Q - 1], [n, Q + 1, 1])
  return {
    between: tf.slice(left, [0, 1, 0], [n, Q, Q]),
    fromStart: tf.reshape(tf.slice(left, [0, 0, 0], [n, 1, Q]), [n, Q, 1]),
    toEnd: tf.slice(last, [0, 1, 0], [n, Q, 1]),
    through: tf.slice(last, [0, 0, 0], [n, 1, 1]),
  }
}
