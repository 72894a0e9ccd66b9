import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core'
import type { Activation, Combination, GroupNorm } from '../backend.js'
import type { Tfjs } from './load.js'

const silu = <T extends Tensor>(tf: Tfjs, x: T): T => tf.mul(x, tf.sigmoid(x))

export function activated(tf: Tfjs, x: Tensor2D, how: Activation): Tensor2D {
  if (how === 'silu') return silu(tf, x)
  if (how === 'gelu') return tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1))
  return how === 'selu' ? tf.selu(x) : x
}

export function combined(tf: Tfjs, a: Tensor2D, b: Tensor2D, how: Combination): Tensor2D {
  if (how === 'add') return tf.add(a, b)
  return tf.mul(a, how === 'gate' ? silu(tf, b) : how === 'glu' ? tf.sigmoid(b) : b)
}

/** x [T, D]; weight, bias [1, D]. */
export function normalised(
  tf: Tfjs,
  x: Tensor2D,
  { kind, eps, groups = 1 }: GroupNorm,
  weight: Tensor2D | null,
  bias: Tensor2D | null,
): Tensor2D {
  const [rows, cols] = x.shape
  const parts: Tensor2D = tf.reshape(x, [rows * groups, cols / groups])
  const centred: Tensor2D = kind === 'layer' ? tf.sub(parts, tf.mean(parts, 1, true)) : parts
  const variance = tf.mean(tf.square(centred), 1, true)
  let y: Tensor2D = tf.reshape(tf.div(centred, tf.sqrt(tf.add(variance, eps))), [rows, cols])
  if (weight) y = tf.mul(y, weight)
  return bias ? tf.add(y, bias) : y
}
