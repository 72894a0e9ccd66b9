import type { Tensor, Tensor2D, Tensor3D } from '@tensorflow/tfjs-core'
import type { S4dArgs } from '../backend.js'
import { discretise } from '../s4d.js'
import { type Held, held } from './held.js'
import type { Tfjs } from './load.js'
import { turned, turnedParts } from './reading.js'
import { doublings, overTiles, type Scanned, type Tile } from './tiles.js'

/** [T, H], by doubling as in the selective scan; here the decay over d rows is w^d in every row, taken in float64 on the host. */
export function s4d(tf: Tfjs, args: S4dArgs, state: Held | null, tileNumbers: number): Tensor2D {
  const [T, H, M] = [args.u.rows, args.u.cols, args.A_imag.cols]
  const numbers = (x: S4dArgs['u'], rows: number, cols: number) => held(x, rows, cols).read().dataSync<'float32'>()
  const { w, c } = discretise({
    log_dt: numbers(args.log_dt, 1, H),
    log_A_real: numbers(args.log_A_real, H, M),
    A_imag: numbers(args.A_imag, H, M),
    C: numbers(args.C, H, 2 * M),
  })
  /** Real (0) or imaginary (1) parts [1, H, M]. */
  const part = (x: Float64Array, of: 0 | 1) =>
    tf.tensor3d(
      Float32Array.from({ length: H * M }, (_, i) => x[2 * i + of]),
      [1, H, M],
    )
  const [cRe, cIm] = [part(c, 0), part(c, 1)]
  const u = turned(tf, held(args.u).read(), args.direction)

  function scanTile(tile: Tile): Scanned {
    const rows = tile.to - tile.from
    const slice = (x: Tensor3D, from: number, to: number) => tf.slice(x, [from, 0, 0], [to - from, H, M])
    /** By w^d. */
    const product = (wd: Float64Array, re: Tensor, im: Tensor): [Tensor3D, Tensor3D] => {
      const [wRe, wIm] = [part(wd, 0), part(wd, 1)]
      return [tf.sub(tf.mul(re, wRe), tf.mul(im, wIm)), tf.add(tf.mul(re, wIm), tf.mul(im, wRe))]
    }
    let re = tf.tile(tf.expandDims(tf.slice(u, [tile.from, 0], [rows, H]), 2), [1, 1, M]) as Tensor3D
    let im = tf.zerosLike(re)
    if (tile.incoming) {
      const [before, beforeIm] = tf.unstack(tf.reshape(tile.incoming, [rows, H, M, 2]), 3)
      const [inRe, inIm] = product(w, before, beforeIm)
      re = tf.add(re, inRe)
      im = inIm
    }
    let wd = w
    for (const d of doublings(tile)) {
      const [reNext, imNext] = tf.tidy(() => {
        // Nothing comes from before the segment.
        const inside = tf.tensor3d(
          Float32Array.from(tile.positions.subarray(d), (t) => Number(t >= d)),
          [rows - d, 1, 1],
        )
        const [inRe, inIm] = product(wd, slice(re, 0, rows - d), slice(im, 0, rows - d))
        const added = (x: Tensor3D, more: Tensor3D): Tensor3D =>
          tf.concat([slice(x, 0, d), tf.add(slice(x, d, rows), tf.mul(more, inside))], 0)
        return [added(re, inRe), added(im, inIm)] as [Tensor3D, Tensor3D]
      })
      tf.dispose([re, im])
      ;[re, im] = [reNext, imNext]
      wd = squared(wd)
    }
    return {
      y: tf.sum(tf.sub(tf.mul(re, cRe), tf.mul(im, cIm)), 2),
      states: tf.reshape(tf.stack([re, im], 3), [rows, 2 * H * M]),
    }
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
