import type { Tensor2D } from '@tensorflow/tfjs-core'
import type { Tfjs } from './load.js'

/** logits [T, X] -> [T, X]. Of equal ones `topk` takes the first. */
export function route(tf: Tfjs, logits: Tensor2D, active: number, over: 'active' | 'all'): Tensor2D {
  const { indices } = tf.topk(logits, active)
  const experts = tf.range(0, logits.shape[1], 1, 'int32')
  const chosen = tf.any(tf.equal(tf.expandDims(indices, 2), experts), 1)
  if (over === 'all') return tf.where(chosen, tf.softmax(logits), 0)
  return tf.softmax(tf.where(chosen, logits, Number.NEGATIVE_INFINITY))
}

/** x [rows.length, D], shares [T, 1] -> [T, D]: what each row gets added. */
export function spread(tf: Tfjs, x: Tensor2D, rows: Int32Array, shares: Tensor2D): Tensor2D {
  const T = shares.shape[0]
  const placed: Tensor2D = tf.scatterND(tf.tensor2d(rows, [rows.length, 1], 'int32'), x, [T, x.shape[1]])
  return tf.mul(placed, shares)
}
