import type { Tensor2D, Tensor3D } from '@tensorflow/tfjs-core'
import type { SsdArgs } from '../backend.js'
import { ssdShape } from '../ssd.js'
import { type Computed, overBlocks, type Remains, remainsOf } from './blocks.js'
import { perHead, toHeads } from './heads.js'
import { type Held, held } from './held.js'
import type { Tfjs } from './load.js'
import { products } from './prefix.js'
import { turned, turnedParts } from './reading.js'
import { statesInto, type Tile } from './tiles.js'

/** [T, H P], in the matrix form of the paper (arXiv 2405.21060, section 6). */
export function ssd(tf: Tfjs, args: SsdArgs, state: Held | null, tileNumbers: number): Tensor2D {
  const { T, H, P, G, N } = ssdShape(args)
  const { direction } = args
  const perRow = (x: SsdArgs['x'], cols: number) => turned(tf, held(x, T, cols).read(), direction)
  const ofHead = (x: SsdArgs['D']) => held(x, 1, H).read()
  const [least, most] = args.dtLimit
  const dt: Tensor2D = tf.minimum(tf.maximum(tf.softplus(tf.add(perRow(args.dt, H), ofHead(args.dtBias))), least), most)
  const x = perRow(args.x, H * P)
  const [k, q] = [args.B, args.C].map((one) => toHeads(tf, perRow(one, G * N), G, H))
  const logs: Tensor2D = tf.neg(tf.mul(dt, tf.exp(ofHead(args.A_log))))
  const rows = { q, k, v: perHead(tf, x, dt), logs }
  const parts = turnedParts(args.segments, direction, T)
  const y = overBlocks(tf, { parts, H, rows, W: H * P * N, state, tileNumbers }, ({ q, k, v, logs }, tile) =>
    matrixForm(tf, q, [{ k, v }], remainsOf(tf, logs), tile),
  )
  return turned(tf, tf.add(y, perHead(tf, x, ofHead(args.D))), direction)
}

/** What rows add to the state of a head, v k': k [n, Q, N], v [n, Q, P], n = blocks H. */
export interface Given {
  k: Tensor3D
  v: Tensor3D
}

/** S = decay S + v k' for each of `given`, y = S q, in blocks: q [n, Q, N], S [P, N]. */
export function matrixForm(tf: Tfjs, q: Tensor3D, given: Given[], remains: Remains, tile: Tile): Computed {
  const { between, fromStart, toEnd, through } = remains
  const [n, , N] = q.shape
  const [P, H] = [given[0].v.shape[2], n / tile.count]
  const sum = (xs: Tensor3D[]) => xs.reduce((a, b) => tf.add(a, b))
  const asStates = (x: Tensor3D): Tensor3D => tf.reshape(x, [tile.count, H, P * N])
  const added = asStates(sum(given.map(({ k, v }) => tf.matMul(tf.mul(v, toEnd), k, true))))
  const decay: Tensor3D = tf.reshape(through, [tile.count, H, 1])
  const before = statesInto(tf, decay, added, tile, products(tf))
  const within = given.map(({ k, v }): Tensor3D => {
    const weights: Tensor3D = tf.mul(tf.matMul(k, q, false, true), between)
    return tf.matMul(weights, v, true)
  })
  const ofState: Tensor3D = tf.mul(tf.matMul(q, tf.reshape(before, [n, P, N]), false, true), fromStart)
  return {
    y: sum([...within, ofState]),
    states: tf.reshape(tf.add(added, tf.mul(decay, before)), [tile.count, H * P * N]),
  }
}
