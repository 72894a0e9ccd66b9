import type { Tensor2D, Tensor3D } from '@tensorflow/tfjs-core'
import type { ScanArgs } from '../backend.js'
import type { Part } from '../segments.js'
import { type Held, held } from './held.js'
import type { Tfjs } from './load.js'
import { type Decays, inHalves, statesBefore } from './prefix.js'
import { turned, turnedParts } from './reading.js'
import { overTiles, type Scanned, type Tile } from './tiles.js'

/** What a scan of E channels with N states computes with, in the order of reading. */
export interface Recurrence {
  /** [T, E] */
  u: Tensor2D
  dt: Tensor2D
  /** [E, N], or [E, 1] where all states of a channel decay alike. */
  A: Tensor2D
  /** [T, G N] */
  B: Tensor2D
  C: Tensor2D
  N: number
}

/** [T, E], without the gate by z; decays are exp(dt A), none above 1 where steps are positive. */
export function selectiveScan(tf: Tfjs, args: ScanArgs, state: Held | null, tileNumbers: number): Tensor2D {
  const [T, E, N] = [args.u.rows, args.A_log.rows, args.A_log.cols]
  const { direction, softplus } = args
  const perRow = (x: ScanArgs['u'], cols: number) => turned(tf, held(x, T, cols).read(), direction)
  const u = perRow(args.u, E)
  const [B, C] = [perRow(args.B, args.B.cols), perRow(args.C, args.B.cols)]
  const A: Tensor2D = tf.neg(tf.exp(held(args.A_log).read()))
  const biased: Tensor2D = args.dtBias ? tf.add(perRow(args.dt, E), held(args.dtBias, 1, E).read()) : perRow(args.dt, E)
  const dt = softplus ? tf.softplus(biased) : biased
  let y = recurrence(tf, { u, dt, A, B, C, N }, turnedParts(args.segments, direction, T), state, tileNumbers)
  if (args.D) y = tf.add(y, tf.mul(u, held(args.D, 1, E).read()))
  return turned(tf, y, direction)
}

/** h = exp(dt A) h + dt B u, y = C h: [T, E]. */
export function recurrence(
  tf: Tfjs,
  { u, dt, A, B, C, N }: Recurrence,
  parts: readonly Part[],
  state: Held | null,
  tileNumbers: number,
): Tensor2D {
  const E = u.shape[1]
  const G = B.shape[1] / N
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

  return overTiles(tf, parts, E * N, tileNumbers, state, scanTile)
}
