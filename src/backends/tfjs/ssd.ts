import type { Tensor2D } from '@tensorflow/tfjs-core'
import type { SsdArgs } from '../backend.js'
import { ssdShape } from '../ssd.js'
import { type Held, held } from './held.js'
import type { Tfjs } from './load.js'
import { turned, turnedParts } from './reading.js'
import { recurrence } from './scan.js'

/** [T, H P], by the recurrence of a selective scan: what a head has one of, each of its channels has. */
export function ssd(tf: Tfjs, args: SsdArgs, state: Held | null, tileNumbers: number): Tensor2D {
  const { T, H, P, G, N } = ssdShape(args)
  const { direction } = args
  const perRow = (x: SsdArgs['x'], cols: number) => turned(tf, held(x, T, cols).read(), direction)
  const perHead = (x: SsdArgs['D']) => held(x, 1, H).read()
  /** [rows, H] -> [rows, H P] */
  const toChannels = (x: Tensor2D): Tensor2D => tf.reshape(tf.tile(tf.expandDims(x, 2), [1, 1, P]), [x.shape[0], H * P])
  const [least, most] = args.dtLimit
  const dt: Tensor2D = tf.minimum(
    tf.maximum(tf.softplus(tf.add(perRow(args.dt, H), perHead(args.dtBias))), least),
    most,
  )
  const A = tf.reshape(toChannels(tf.neg(tf.exp(perHead(args.A_log)))), [H * P, 1]) as Tensor2D
  const u = perRow(args.x, H * P)
  const [B, C] = [args.B, args.C].map((x) => perRow(x, G * N))
  const parts = turnedParts(args.segments, direction, T)
  const y = recurrence(tf, { u, dt: toChannels(dt), A, B, C, N }, parts, state, tileNumbers)
  return turned(tf, tf.add(y, tf.mul(u, toChannels(perHead(args.D)))), direction)
}
