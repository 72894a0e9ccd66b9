import type { Tensor2D, Tensor3D } from '@tensorflow/tfjs-core'
import type { ScanArgs } from '../backend.js'
import { type Held, held } from './held.js'
import type { Tfjs } from './load.js'
import { turned, turnedParts } from './reading.js'
import { doublings, overTiles, type Scanned, type Tile } from './tiles.js'

/**
 * [T, E]. Rows are scanned by doubling: h[t] = a[t] h[t - 1] + b[t] over d rows gives that over 2 d, with products of decays, none above 1 where
 * steps are positive, so that nothing is divided and nothing overflows.
 */
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

  function scanTile(tile: Tile): Scanned {
    const rows = tile.to - tile.from
    const cut = (x: Tensor2D) => tf.slice(x, [tile.from, 0], [rows, x.shape[1]])
    /** [rows, G N] -> [rows, E or 1, N] */
    const byChannel = (x: Tensor2D): Tensor3D => {
      const grouped = tf.reshape(cut(x), [rows, G, N]) as Tensor3D
      return G === 1 ? grouped : tf.gather(grouped, groups, 1)
    }
    let a: Tensor3D = tf.exp(tf.mul(tf.expandDims(cut(dt), 2), A))
    let h: Tensor3D = tf.mul(tf.expandDims(cut(dtu), 2), byChannel(B))
    if (tile.incoming) h = tf.add(h, tf.mul(a, tf.reshape(tile.incoming, [rows, E, N])))
    // Nothing comes from the row before the first of a segment.
    a = tf.mul(a, tf.tensor3d(Float32Array.from(tile.positions, Math.sign), [rows, 1, 1]))
    for (const d of doublings(tile)) {
      const [aNext, hNext] = tf.tidy(() => {
        const first = (x: Tensor3D, count: number) => tf.slice(x, [0, 0, 0], [count, E, N])
        const after = (x: Tensor3D) => tf.slice(x, [d, 0, 0], [rows - d, E, N])
        const decay = after(a)
        return [
          tf.concat([first(a, d), tf.mul(decay, first(a, rows - d))], 0),
          tf.concat([first(h, d), tf.add(after(h), tf.mul(decay, first(h, rows - d)))], 0),
        ] as [Tensor3D, Tensor3D]
      })
      tf.dispose([a, h])
      ;[a, h] = [aNext, hNext]
    }
    return { y: tf.sum(tf.mul(h, byChannel(C)), 2), states: tf.reshape(h, [rows, E * N]) }
  }

  const parts = turnedParts(args.segments, direction, T)
  let y = overTiles(tf, parts, E * N, tileNumbers, state, scanTile)
  if (args.D) y = tf.add(y, tf.mul(u, held(args.D, 1, E).read()))
  return turned(tf, y, direction)
}
