import type { Tensor3D } from '@tensorflow/tfjs-core'
import type { Tfjs } from './load.js'

/** Decays of rows, one for each: what the state before a row is multiplied by on its way to the one after it. */
export interface Decays<D> {
  /** Of the first half of the rows, and of the second. */
  halves(decays: D): [D, D]
  /** By the first, then by the second. */
  both(first: D, second: D): D
  /** x [rows, ...], row by row. */
  decayed(x: Tensor3D, decays: D): Tensor3D
}

/**
 * The order of 2^k rows in which `statesBefore` takes them: even ones in the first half, odd ones in the second, and so on for the pairs
 * of each; it is its own inverse.
 */
export function evensFirst(count: number): number[] {
  let order = [0]
  while (order.length < count) order = [...order.map((i) => 2 * i), ...order.map((i) => 2 * i + 1)]
  return order
}

/**
 * States before each row of h' = decay h + input, in `evensFirst` order, all at once: pairs of rows are one row each, whose states are found
 * first (Blelloch 1990, up and down a tree). Products of decays are the only new numbers: nothing is divided, and where no decay is above 1
 * nothing overflows. inputs [rows, ...], start [1, ...] -> [rows, ...].
 */
export function statesBefore<D>(
  tf: Tfjs,
  decays: D,
  inputs: Tensor3D,
  start: Tensor3D,
  { halves, both, decayed }: Decays<D>,
): Tensor3D {
  if (inputs.shape[0] === 1) return start
  return tf.tidy(() => {
    const [even, odd] = inHalves(tf, inputs)
    const [decayEven, decayOdd] = halves(decays)
    const joined: Tensor3D = tf.add(odd, decayed(even, decayOdd))
    const before = statesBefore(tf, both(decayEven, decayOdd), joined, start, { halves, both, decayed })
    return tf.concat([before, tf.add(even, decayed(before, decayEven)) as Tensor3D], 0)
  })
}

/** [rows, ...] -> two of [rows / 2, ...]. */
export function inHalves(tf: Tfjs, x: Tensor3D): [Tensor3D, Tensor3D] {
  const [half, ...rest] = [x.shape[0] / 2, x.shape[1], x.shape[2]]
  return [0, half].map((from) => tf.slice(x, [from, 0, 0], [half, ...rest])) as [Tensor3D, Tensor3D]
}

/** Decays that are numbers, [rows, ...] with as many axes as the states. */
export const products = (tf: Tfjs): Decays<Tensor3D> => ({
  halves: (a) => inHalves(tf, a),
  both: (first, second) => tf.mul(first, second),
  decayed: (x, a) => tf.mul(x, a),
})

/** Decays that are matrices, [rows, heads K, K]: of the states [rows, heads K, V] of each head. */
export const matrixProducts = (tf: Tfjs): Decays<Tensor3D> => {
  /** Matrix by matrix; x [rows, heads K, any]. */
  const times = (a: Tensor3D, x: Tensor3D): Tensor3D => {
    const [rows, , K] = a.shape
    const matrices = (one: Tensor3D): Tensor3D => tf.reshape(one, [(rows * one.shape[1]) / K, K, one.shape[2]])
    return tf.reshape(tf.matMul(matrices(a), matrices(x)), x.shape)
  }
  return {
    halves: (a) => inHalves(tf, a),
    both: (first, second) => times(second, first),
    decayed: (x, a) => times(a, x),
  }
}
