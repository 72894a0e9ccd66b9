import type { Tensor2D, Tensor3D } from '@tensorflow/tfjs-core'
import { type AttentionPart, placeOf, readAttention } from '../attention.js'
import type { AttentionArgs, AttentionCache } from '../backend.js'
import { type Held, held } from './held.js'
import type { Tfjs } from './load.js'
import { rowsAt } from './reading.js'

/** How many keys the rows of a tile see, at the most, besides those that its first row sees. */
const moreKeys = 64

/** [T, heads width] */
export function attention(tf: Tfjs, args: AttentionArgs, cache: AttentionCache | null, tileNumbers: number): Tensor2D {
  const { groups, capacity, parts } = readAttention(args, cache)
  const { heads, width, scale, window } = args
  const T = args.q.rows
  const share = heads / groups
  const q = held(args.q).read()
  const [keys, values] = [
    new Cached(tf, held(args.k), cache && held(cache.keys, cache.keys.rows, capacity * args.k.cols)),
    new Cached(tf, held(args.v), cache && held(cache.values, cache.keys.rows, capacity * args.k.cols)),
  ]
  const { sources, first, last } = seenRows(parts, window, T, capacity)
  const [k, v] = [keys.gather(sources), values.gather(sources)]

  /** Rows from .. to - 1, and all keys that they see: [to - from, heads width]. */
  function attend(from: number, to: number): Tensor2D {
    const rows = to - from
    const [begin, end] = [first[from], last[to - 1] + 1]
    const byGroup = (x: Tensor2D): Tensor3D =>
      tf.transpose(
        tf.reshape(tf.slice(x, [begin, 0], [end - begin, groups * width]), [end - begin, groups, width]),
        [1, 0, 2],
      )
    const queries = tf.transpose(
      tf.reshape(tf.slice(q, [from, 0], [rows, heads * width]), [rows, groups, share, width]),
      [1, 2, 0, 3],
    )
    const asMatrices = tf.reshape(queries, [groups, share * rows, width])
    const scores = tf.mul(tf.matMul(asMatrices, byGroup(k), false, true), scale)
    const place = tf.range(begin, end, 1, 'int32')
    const column = (x: Int32Array) => tf.tensor2d(x.subarray(from, to), [rows, 1], 'int32')
    const seen = tf.logicalAnd(tf.greaterEqual(place, column(first)), tf.lessEqual(place, column(last)))
    const hidden = tf.where(seen, 0, Number.NEGATIVE_INFINITY)
    const shares = tf.softmax(tf.add(tf.reshape(scores, [heads, rows, end - begin]), hidden))
    const y = tf.matMul(tf.reshape(shares, [groups, share * rows, end - begin]), byGroup(v))
    return tf.reshape(tf.transpose(tf.reshape(y, [heads, rows, width]), [1, 0, 2]), [rows, heads * width])
  }

  const ys: Tensor2D[] = []
  for (let from = 0, to = 1; from < T; from = to++) {
    const fits = () => heads * (to + 1 - from) * (last[to] + 1 - first[from]) <= tileNumbers
    while (to < T && last[to] - last[from] < moreKeys && fits()) to++
    ys.push(tf.tidy(() => attend(from, to)))
  }
  for (const x of [keys, values]) x.keep(parts, capacity)
  return tf.concat(ys, 0)
}

/**
 * What the rows see, in one list, segment by segment: rows of the cache, the oldest first, then its own. `sources`: rows of the chunk, and
 * after its T rows those of the cache; of each row of the chunk, the first and the last place in the list that it sees.
 */
function seenRows(parts: readonly AttentionPart[], window: number, T: number, capacity: number) {
  const sources: number[] = []
  const [first, last] = [new Int32Array(T), new Int32Array(T)]
  for (const { from, rows, slot, start, seen } of parts) {
    const begin = sources.length
    for (let p = start - seen; p < start; p++) sources.push(T + slot * capacity + placeOf(p, capacity))
    for (let row = from; row < from + rows; row++) {
      last[row] = sources.length
      first[row] = Math.max(begin, sources.length - window + 1)
      sources.push(row)
    }
  }
  return { sources, first, last }
}

/** Keys or values of a chunk, and below them those of the rows before it: [T + slots capacity, G d]. */
class Cached {
  private readonly all: Tensor2D

  constructor(
    private readonly tf: Tfjs,
    private readonly x: Held,
    private readonly cache: Held | null,
  ) {
    const before: Tensor2D | null = cache && tf.reshape(cache.read(), [(cache.rows * cache.cols) / x.cols, x.cols])
    this.all = before ? tf.concat([x.read(), before], 0) : x.read()
  }

  gather(sources: ArrayLike<number>): Tensor2D {
    return rowsAt(this.tf, this.all, sources)
  }

  /** Puts the rows of segments with a slot where the cache has room for them. */
  keep(parts: readonly AttentionPart[], capacity: number): void {
    const { cache, x } = this
    if (!cache || parts.every(({ slot }) => slot < 0)) return
    const kept = Int32Array.from({ length: cache.rows * capacity }, (_, r) => x.rows + r)
    for (const { from, rows, slot, start } of parts)
      if (slot >= 0)
        for (let t = Math.max(0, rows - capacity); t < rows; t++)
          kept[slot * capacity + placeOf(start + t, capacity)] = from + t
    cache.replace(this.tf.reshape(this.gather(kept), [cache.rows, cache.cols]))
  }
}
