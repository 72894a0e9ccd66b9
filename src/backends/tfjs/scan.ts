import type { Tensor2D, Tensor3D } from '@tensorflow/tfjs-core'
import type { ScanArgs } from '../backend.js'
import { type Held, held } from './held.js'
import type { Tfjs } from './load.js'
import { type Decays, inHalves, statesBefore } from './prefix.js'
import { turned, turnedParts } from './reading.js'
import { overTiles, type Scanned, type Tile } from './tiles.js'

/** [T, E], without the gate by z; decays are exp(dt A), none above 1 where steps are positive. */
export function selectiveScan(tf: Tfjs, args: ScanArgs, state: Held | null, tileNumbers: number): Tensor2D {
  const [T, E, N] = [args.u.rows, args.A_log.rows, args.A_log.cols]
  const { direction, softplus } = args
  const G = args.B.cols / N
  const perRow = (x: ScanArgs['u'], cols: number) => turned(tf, held(x, T, cols).read(), direction)
  const u = perRow(args.u, E)
  const [B, C] = [perRow(args.B, G * N), perRow(args.C, G * N)]
  const A: Tensor2D = tf.neg(tf.exp(held(args.A_log).read()))
  const biased: Tensor2D = args.dtBias ? tf.add(perRow(args.dt, E), held(args.dtBias, 1, E).read()) : perRow(args.dt, E)
  const dt = softplus ? tf.softplus(biased) : biased
  const dtu: Tensor2D = tf.mul(dt, u)
  const groups = tf.tensor1d(
    Int32Array.from({ length: E }, (_, e) => Math.floor((e * G) / E)),
    'int32',
  )

  const decays: Decays<Tensor3D> = {
    halves: (a) => inHalves(tf, a),
    both: (first, second) => tf.mul(first, second),
    decayed: (x, a) => tf.mul(x, a),
  }

  function scanTile({ rows, count, goesOn, resumed, start }: Tile): Scanned {
    const take = (x: Tensor2D) => tf.gather(x, rows)
    /** [rows, G N] -> [rows, E or 1, N] */
    const byChannel = (x: Tensor2D): Tensor3D => {
      const grouped = tf.reshape(take(x), [count, G, N]) as Tensor3D
      return G === 1 ? grouped : tf.gather(grouped, groups, 1)
    }
    const decay: Tensor3D = tf.exp(tf.mul(tf.expandDims(take(dt), 2), A))
    let input: Tensor3D = tf.mul(tf.expandDims(take(dtu), 2), byChannel(B))
    if (resumed) input = tf.add(input, tf.mul(decay, tf.reshape(resumed, [count, E, N])))
    const a: Tensor3D = tf.mul(decay, goesOn)
    const before = statesBefore(tf, a, input, tf.reshape(start, [1, E, N]), decays)
    const h: Tensor3D = tf.add(input, tf.mul(a, before))
    return { y: tf.sum(tf.mul(h, byChannel(C)), 2), states: tf.reshape(h, [count, E * N]) }
  }

  const parts = turnedParts(args.segments, direction, T)
  let y = overTiles(tf, parts, E * N, tileNumbers, state, scanTile)
  if (args.D) y = tf.add(y, tf.mul(u, held(args.D, 1, E).read()))
  return turned(tf, y, direction)
}
