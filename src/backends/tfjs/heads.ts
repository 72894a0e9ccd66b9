import type { Tensor2D } from '@tensorflow/tfjs-core'
import type { Tfjs } from './load.js'

/** Numbers that heads in turn share, one for each of them: [T, G w] -> [T, H w]. */
export function toHeads(tf: Tfjs, x: Tensor2D, G: number, H: number): Tensor2D {
  if (G === H) return x
  const [T, cols] = x.shape
  const shared = tf.reshape(x, [T, G, 1, cols / G])
  return tf.reshape(tf.tile(shared, [1, 1, H / G, 1]), [T, (H * cols) / G])
}

/** x [T, H w] times one number for each head, [T or 1, H]. */
export function perHead(tf: Tfjs, x: Tensor2D, factors: Tensor2D): Tensor2D {
  const [T, cols] = x.shape
  const H = factors.shape[1]
  return tf.reshape(tf.mul(tf.reshape(x, [T, H, cols / H]), tf.expandDims(factors, 2)), [T, cols])
}
