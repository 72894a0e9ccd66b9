import type { Tensor, Tensor2D, Tensor3D } from '@tensorflow/tfjs-core'
import type { GatedDeltaArgs } from '../backend.js'
import { gatedDeltaShape } from '../gated-delta.js'
import { type Computed, overBlocks, remainsOf } from './blocks.js'
import { toHeads } from './heads.js'
import { type Held, held } from './held.js'
import type { Tfjs } from './load.js'
import { matrixProducts } from './prefix.js'
import { turned, turnedParts } from './reading.js'
import { statesInto, type Tile } from './tiles.js'

/** [T, H V], in blocks (arXiv 2412.06464, section 3.3). */
export function gatedDelta(tf: Tfjs, args: GatedDeltaArgs, state: Held | null, tileNumbers: number): Tensor2D {
  const { T, H, G, K, V } = gatedDeltaShape(args)
  const { direction } = args
  const perRow = (x: GatedDeltaArgs['q'], cols: number) => turned(tf, held(x, T, cols).read(), direction)
  const ofHead = (x: GatedDeltaArgs['A_log']) => held(x, 1, H).read()
  const [q, k] = [args.q, args.k].map((x) => toHeads(tf, perRow(x, G * K), G, H))
  const dt: Tensor2D = tf.softplus(tf.add(perRow(args.dt, H), ofHead(args.dtBias)))
  const logs: Tensor2D = tf.neg(tf.mul(dt, tf.exp(ofHead(args.A_log))))
  const beta: Tensor2D = tf.sigmoid(perRow(args.beta, H))
  const rows = { q, k, v: perRow(args.v, H * V), beta, logs }
  const parts = turnedParts(args.segments, direction, T)
  const y = overBlocks(tf, { parts, H, rows, W: H * K * V, state, tileNumbers }, (x, tile) => scanBlocks(tf, x, tile))
  return turned(tf, y, direction)
}

/**
 * Row i writes k' u, where u = beta (v - k S) and S is what is left, when it comes, of the state before the block and of what the rows before
 * it wrote. So all u of a block solve a triangular system, whose right side is linear in the state before the block; and so is the state
 * after it, by a matrix [K, K] for each head.
 */
function scanBlocks(
  tf: Tfjs,
  { q, k, v, beta, logs }: Record<'q' | 'k' | 'v' | 'beta' | 'logs', Tensor3D>,
  tile: Tile,
): Computed {
  const [n, Q, K] = k.shape
  const [V, H] = [v.shape[2], n / tile.count]
  const { between, fromStart, toEnd, through } = remainsOf(tf, logs)
  const scores = (a: Tensor3D): Tensor3D => tf.mul(tf.matMul(k, a, false, true), between) // [n, Q, Q]
  const solved = inverse(tf, tf.mul(scores(k), tf.reshape(beta, [n, 1, Q])))
  const ofValues: Tensor3D = tf.matMul(solved, tf.mul(v, beta), true) // [n, Q, V]
  const ofState: Tensor3D = tf.matMul(solved, tf.mul(k, tf.mul(beta, fromStart)), true) // [n, Q, K]
  const kept: Tensor3D = tf.mul(k, toEnd)
  const decay = tf.sub(tf.mul(through, tf.eye(K)), tf.matMul(kept, ofState, true)) // [n, K, K]
  const input = tf.matMul(kept, ofValues, true) // [n, K, V]
  const byBlock = (x: Tensor, cols: number): Tensor3D => tf.reshape(x, [tile.count, H * K, cols])
  const entering = statesInto(tf, byBlock(decay, K), byBlock(input, V), tile, matrixProducts(tf))
  const before: Tensor3D = tf.reshape(entering, [n, K, V])
  const u: Tensor3D = tf.sub(ofValues, tf.matMul(ofState, before))
  const after = tf.add(tf.mul(through, before), tf.matMul(kept, u, true))
  return {
    y: tf.add(tf.matMul(scores(q), u, true), tf.mul(tf.matMul(q, before), fromStart)),
    states: tf.reshape(after, [tile.count, H * K * V]),
  }
}

/**
 * Inverses [n, Q, Q] of 1 + what lies above the diagonal of x, of which nothing else is read: by halves, as that of [[a, x], [0, b]] is
 * [[1/a, -1/a x 1/b], [0, 1/b]]. A sum of powers of x would be of numbers far larger than what comes out.
 */
function inverse(tf: Tfjs, x: Tensor3D): Tensor3D {
  const [n, Q] = x.shape
  if (Q === 1) return tf.onesLike(x)
  const h = Q / 2
  const quarter = (of: Tensor3D, from: number[]): Tensor3D => tf.slice(of, from, [n, h, h])
  const both = inverse(tf, tf.concat([quarter(x, [0, 0, 0]), quarter(x, [0, h, h])], 0))
  const [a, b] = [quarter(both, [0, 0, 0]), quarter(both, [n, 0, 0])]
  const corner: Tensor3D = tf.neg(tf.matMul(tf.matMul(a, quarter(x, [0, 0, h])), b))
  return tf.concat([tf.concat([a, corner], 2), tf.concat([tf.zerosLike(a), b], 2)], 1)
}
