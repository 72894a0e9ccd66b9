import type { Tensor2D, Tensor3D } from '@tensorflow/tfjs-core'
import type { Tfjs } from './load.js'
import { type Decays, inHalves, statesBefore } from './prefix.js'
import type { Tile } from './tiles.js'

/** Complex numbers on the host, real and imaginary part in turn. */
type Numbers = ArrayLike<number>

/** The decay w^d over d rows, the same for all of them, with 0 [rows, 1, 1] where a segment begins in between, elsewhere 1. */
interface Turn {
  power: Numbers
  goesOn: Tensor3D
}

/** The recurrence x = w x + input of `count` complex modes, as two planes [rows, 2, count]; powers of w are taken in float64 on the host. */
export function complexModes(tf: Tfjs, w: Numbers) {
  const count = w.length / 2
  /** [1, 2, count] of numbers by mode. */
  const planes = (first: (i: number) => number, second: (i: number) => number): Tensor3D =>
    tf.tensor3d(
      Float32Array.from({ length: 2 * count }, (_, i) => (i < count ? first(i) : second(i - count))),
      [1, 2, count],
    )
  /** x times numbers by mode. */
  function product(x: Tensor3D, by: Numbers): Tensor3D {
    const [same, crossed] = [
      planes(re(by), re(by)),
      planes(
        (i) => -by[2 * i + 1],
        (i) => by[2 * i + 1],
      ),
    ]
    return tf.add(tf.mul(x, same), tf.mul(tf.reverse(x, 1), crossed))
  }
  const turns: Decays<Turn> = {
    halves: ({ power, goesOn }) => {
      const [first, second] = inHalves(tf, goesOn)
      return [
        { power, goesOn: first },
        { power, goesOn: second },
      ]
    },
    both: (first, second) => ({ power: squared(first.power), goesOn: tf.mul(first.goesOn, second.goesOn) }),
    decayed: (x, { power, goesOn }) => tf.mul(product(x, power), goesOn),
  }
  /** From [rows, 2 count] as states are, and back. */
  const toPlanes = (x: Tensor2D, rows: number): Tensor3D =>
    tf.transpose(tf.reshape(x, [rows, count, 2]) as Tensor3D, [0, 2, 1])
  const fromPlanes = (x: Tensor3D, rows: number): Tensor2D => tf.reshape(tf.transpose(x, [0, 2, 1]), [rows, 2 * count])

  /** The states after each row of a tile. */
  function states(input: Tensor3D, { count: rows, goesOn, resumed, start }: Tile): Tensor3D {
    const entering = resumed ? tf.add<Tensor3D>(input, product(toPlanes(resumed, rows), w)) : input
    const turn: Turn = { power: w, goesOn }
    return tf.add(entering, turns.decayed(statesBefore(tf, turn, entering, toPlanes(start, 1), turns), turn))
  }
  return { planes, product, toPlanes, fromPlanes, states }
}

export const re = (x: Numbers) => (i: number) => x[2 * i]
export const im = (x: Numbers) => (i: number) => x[2 * i + 1]

function squared(x: Numbers): Float64Array {
  const out = new Float64Array(x.length)
  for (let i = 0; i < x.length; i += 2) {
    out[i] = x[i] * x[i] - x[i + 1] * x[i + 1]
    out[i + 1] = 2 * x[i] * x[i + 1]
  }
  return out
}
