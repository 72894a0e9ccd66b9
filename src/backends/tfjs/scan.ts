import type { Tensor2D, Tensor3D } from '@tensorflow/tfjs-core'
import type { ScanArgs } from '../backend.js'
import { type Held, held } from './held.js'
import type { Tfjs } from './load.js'
import { products } from './prefix.js'
import { turned, turnedParts } from './reading.js'
import { overTiles, type Scanned, statesInto, type Tile } from './tiles.js'

/** [T, E], without the gate by z; decays are exp(dt A), none above 1 where steps are positive. */
export function selectiveScan(tf: Tfjs, args: ScanArgs, state: Held | null, tileNumbers: number): Tensor2D {
  const [T, E, N] = [args.u.rows, args.A_log.rows, args.A_log.cols]
  const G = args.B.cols / N
  const { direction, softplus } = args
  const perRow = (x: ScanArgs['u'], cols: number) => turned(tf, held(x, T, cols).read(), direction)
  const u = perRow(args.u, E)
  const [B, C] = [perRow(args.B, args.B.cols), perRow(args.C, args.B.cols)]
  const A: Tensor2D = tf.neg(tf.exp(held(args.A_log).read()))
  const biased: Tensor2D = args.dtBias ? tf.add(perRow(args.dt, E), held(args.dtBias, 1, E).read()) : perRow(args.dt, E)
  const dt = softplus ? tf.softplus(biased) : biased
  const dtu: Tensor2D = tf.mul(dt, u)
  const groups = tf.tensor1d(
    Int32Array.from({ length: E }, (_, e) => Math.floor((e * G) / E)),
    'int32',
  )

  function scanTile(tile: Tile): Scanned {
    const { rows, count } = tile
    const take = (x: Tensor2D) => tf.gather(x, rows)
    /** [rows, G N] -> [rows, E or 1, N] */
    const byChannel = (x: Tensor2D): Tensor3D => {
      const grouped = tf.reshape(take(x), [count, G, N]) as Tensor3D
      return G === 1 ? grouped : tf.gather(grouped, groups, 1)
    }
    const decay: Tensor3D = tf.exp(tf.mul(tf.expandDims(take(dt), 2), A))
    const input: Tensor3D = tf.mul(tf.expandDims(take(dtu), 2), byChannel(B))
    const h: Tensor3D = tf.add(input, tf.mul(decay, statesInto(tf, decay, input, tile, products(tf))))
    return { y: tf.sum(tf.mul(h, byChannel(C)), 2), states: tf.reshape(h, [count, E * N]) }
  }

  const parts = turnedParts(args.segments, direction, T)
  const y = overTiles(tf, parts, E * N, tileNumbers, state, scanTile)
  return turned(tf, args.D ? tf.add(y, tf.mul(u, held(args.D, 1, E).read())) : y, direction)
}
