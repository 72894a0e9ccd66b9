import type { Tensor2D, Tensor3D } from '@tensorflow/tfjs-core'
import type { S4dArgs } from '../backend.js'
import { recurrenceOf } from '../s4d.js'
import { type Held, held } from './held.js'
import type { Tfjs } from './load.js'
import { complexModes, im, re } from './modes.js'
import { turned, turnedParts } from './reading.js'
import { overTiles, type Scanned, type Tile } from './tiles.js'

/** [T, H], of H M complex modes. */
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
  const modes = complexModes(tf, w)
  const u = turned(tf, held(args.u).read(), args.direction)

  function scanTile(tile: Tile): Scanned {
    const { rows, count } = tile
    const each: Tensor3D = tf.reshape(tf.tile(tf.expandDims(tf.gather(u, rows), 2), [1, 1, M]), [count, 1, H * M])
    const x = modes.states(tf.concat([each, tf.zerosLike(each)], 1), tile)
    const minusIm = (i: number) => -im(c)(i)
    const y = tf.sum(tf.reshape(tf.mul(x, modes.planes(re(c), minusIm)), [count, 2, H, M]), [1, 3]) as Tensor2D
    return { y, states: modes.fromPlanes(x, count) }
  }

  const parts = turnedParts(args.segments, args.direction, T)
  const y = overTiles(tf, parts, 2 * H * M, tileNumbers, state, scanTile)
  return turned(tf, tf.add(y, tf.mul(u, held(args.D, 1, H).read())), args.direction)
}
