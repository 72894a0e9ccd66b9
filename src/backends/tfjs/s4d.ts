import type { Tensor2D, Tensor3D } from '@tensorflow/tfjs-core'
import type { S4dArgs } from '../backend.js'
import { recurrenceOf } from '../s4d.js'
import { type Held, held } from './held.js'
import type { Tfjs } from './load.js'
import { type Decays, inHalves, statesBefore } from './prefix.js'
import { turned, turnedParts } from './reading.js'
import { overTiles, type Scanned, type Tile } from './tiles.js'

/** The decay w^d over d rows, the same for all [H, M, 2], with 0 [rows, 1, 1] where a segment begins in between, elsewhere 1. */
interface Turn {
  power: Float64Array
  goesOn: Tensor3D
}

/** [T, H]. Complex numbers are two planes, [rows, 2, H M]; powers of w are taken in float64 on the host. */
export function s4d(tf: Tfjs, args: S4dArgs, state: Held | null, tileNumbers: number): Tensor2D {
  const [T, H, M] = [args.u.rows, args.u.cols, args.A_imag.cols]
  const numbers = (x: S4dArgs['u'], rows: number, cols: number) => held(x, rows, cols).read().dataSync<'float32'>()
  const { w, c } = recurrenceOf({
    log_dt: numbers(args.log_dt, 1, H),
    log_A_real: numbers(args.log_A_real, H, M),
    A_imag: numbers(args.A_imag, H, M),
    C: numbers(args.C, H, 2 * M),
    discretisation: args.discretisation,
  })
  const u = turned(tf, held(args.u).read(), args.direction)
  /** [1, 2, H M] of numbers by mode. */
  const planes = (first: (i: number) => number, second: (i: number) => number): Tensor3D =>
    tf.tensor3d(
      Float32Array.from({ length: 2 * H * M }, (_, i) => (i < H * M ? first(i) : second(i - H * M))),
      [1, 2, H * M],
    )
  const re = (x: Float64Array) => (i: number) => x[2 * i]
  const im = (x: Float64Array) => (i: number) => x[2 * i + 1]
  const minus = (f: (i: number) => number) => (i: number) => -f(i)
  const product = (x: Tensor3D, by: Float64Array): Tensor3D =>
    tf.add(tf.mul(x, planes(re(by), re(by))), tf.mul(tf.reverse(x, 1), planes(minus(im(by)), im(by))))
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
  /** [rows, H M 2], as states are, and [rows, 2, H M] */
  const toPlanes = (x: Tensor2D, rows: number) => tf.transpose(tf.reshape(x, [rows, H * M, 2]) as Tensor3D, [0, 2, 1])
  const fromPlanes = (x: Tensor3D, rows: number) =>
    tf.reshape(tf.transpose(x, [0, 2, 1]), [rows, 2 * H * M]) as Tensor2D

  function scanTile({ rows, count, goesOn, resumed, start }: Tile): Scanned {
    const each: Tensor3D = tf.reshape(tf.tile(tf.expandDims(tf.gather(u, rows), 2), [1, 1, M]), [count, 1, H * M])
    let input = tf.concat([each, tf.zerosLike(each)], 1)
    if (resumed) input = tf.add(input, product(toPlanes(resumed, count), w))
    const turn: Turn = { power: w, goesOn }
    const before = statesBefore(tf, turn, input, toPlanes(start, 1), turns)
    const x: Tensor3D = tf.add(input, turns.decayed(before, turn))
    const y = tf.sum(tf.reshape(tf.mul(x, planes(re(c), minus(im(c)))), [count, 2, H, M]), [1, 3]) as Tensor2D
    return { y, states: fromPlanes(x, count) }
  }

  const parts = turnedParts(args.segments, args.direction, T)
  const y = overTiles(tf, parts, 2 * H * M, tileNumbers, state, scanTile)
  return turned(tf, tf.add(y, tf.mul(u, held(args.D, 1, H).read())), args.direction)
}

/** Complex numbers, real and imaginary part in turn. */
function squared(x: Float64Array): Float64Array {
  const out = new Float64Array(x.length)
  for (let i = 0; i < x.length; i += 2) {
    out[i] = x[i] * x[i] - x[i + 1] * x[i + 1]
    out[i + 1] = 2 * x[i] * x[i + 1]
  }
  return out
}
