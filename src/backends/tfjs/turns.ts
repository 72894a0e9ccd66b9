import type { Tensor2D, Tensor3D } from '@tensorflow/tfjs-core'
import type { TurnsArgs } from '../backend.js'
import { turnsShape } from '../turns.js'
import { toHeads } from './heads.js'
import { type Held, held } from './held.js'
import type { Tfjs } from './load.js'
import { type Decays, products } from './prefix.js'
import { turnedParts } from './reading.js'
import { overTiles, type Scanned, statesInto, type Tile } from './tiles.js'

/** [T, H 2 S]. */
export function turns(tf: Tfjs, args: TurnsArgs, state: Held | null, tileNumbers: number): Tensor2D {
  const { T, H, S, A } = turnsShape(args)
  const steps = tf.softplus(tf.add(held(args.dt, T, H).read(), held(args.dtBias, 1, H).read()))
  const angles = toHeads(tf, tf.mul(tf.tanh(held(args.angles, T, A * S).read()), Math.PI), A, H)
  const turned: Tensor3D = tf.mul(tf.reshape(angles, [T, H, S]), tf.expandDims(steps, 2))

  function scanTile(tile: Tile): Scanned {
    const { rows, count } = tile
    const given = withoutWholeTurns(tf, tf.gather(turned, rows), tf.round)
    const before = statesInto(tf, tf.ones([count, 1, 1]), given, tile, wholeTurnsLeftOut(tf))
    const sums = withoutWholeTurns(tf, tf.add<Tensor3D>(given, before), tf.floor)
    const y = tf.concat([tf.cos(sums), tf.sin(sums)], 2)
    return { y: tf.reshape(y, [count, H * 2 * S]), states: tf.reshape(sums, [count, H * S]) }
  }

  return overTiles(tf, turnedParts(args.segments, 'forward', T), H * S, tileNumbers, state, scanTile)
}

/** Angles are summed up, none of them decays; those from -pi to pi are the most exact. */
function wholeTurnsLeftOut(tf: Tfjs): Decays<Tensor3D> {
  const sums = products(tf)
  return { ...sums, decayed: (x, goesOn) => withoutWholeTurns(tf, sums.decayed(x, goesOn), tf.round) }
}

/** 2 pi is taken in two parts, of which the first, times a number of turns, is exact. */
function withoutWholeTurns(tf: Tfjs, angles: Tensor3D, toWhole: (x: Tensor3D) => Tensor3D): Tensor3D {
  const whole = toWhole(tf.mul(angles, 0.5 / Math.PI))
  return tf.sub(tf.sub(angles, tf.mul(whole, 6.28125)), tf.mul(whole, 2 * Math.PI - 6.28125))
}
