import type { Tensor2D, Tensor3D } from '@tensorflow/tfjs-core'
import type { Pairs, Tensor } from '../backend.js'
import { pairsTurned } from '../pairs.js'
import { held } from './held.js'
import type { Tfjs } from './load.js'

/** x [T, heads width], turns [T, 2 n]. */
export function rotate(tf: Tfjs, x: Tensor, turns: Tensor, heads: number, pairs: Pairs): Tensor2D {
  const { rows: T, cols } = x
  const { width, n } = pairsTurned(cols, heads, turns.cols)
  const parts = (of: Tensor3D, from: number, to: number): Tensor3D =>
    tf.slice(of, [0, 0, from], [T, of.shape[1], to - from])
  const byHead: Tensor3D = tf.reshape(held(x).read(), [T, heads, width])
  const both: Tensor3D = tf.reshape(held(turns, T, 2 * n).read(), [T, 1, 2 * n])
  const [cos, sin] = [parts(both, 0, n), parts(both, n, 2 * n)]
  const [shape, axis] = pairs === 'halves' ? [[T, heads, 2, n], 2] : [[T, heads, n, 2], 3]
  const [a, b] = tf.unstack(tf.reshape(parts(byHead, 0, 2 * n), shape), axis)
  const turned = tf.stack([tf.sub(tf.mul(a, cos), tf.mul(b, sin)), tf.add(tf.mul(b, cos), tf.mul(a, sin))], axis)
  const all = [tf.reshape(turned, [T, heads, 2 * n]) as Tensor3D, parts(byHead, 2 * n, width)]
  return tf.reshape(tf.concat(all, 2), [T, cols])
}
