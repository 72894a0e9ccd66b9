import type { Tensor2D } from '@tensorflow/tfjs-core'
import type { TrapezoidArgs, TrapezoidState } from '../backend.js'
import { trapezoidShape } from '../trapezoid.js'
import { overBlocks, remainsOf } from './blocks.js'
import { perHead } from './heads.js'
import { held, Reshaped } from './held.js'
import type { Tfjs } from './load.js'
import { rowsBefore } from './lookback.js'
import { turnedParts } from './reading.js'
import { matrixForm } from './ssd.js'

/** [T, H P]: as SSD, but that a row also gives what the row before it did. */
export function trapezoid(tf: Tfjs, args: TrapezoidArgs, state: TrapezoidState | null, tileNumbers: number): Tensor2D {
  const { T, H, P, N } = trapezoidShape(args)
  const perRow = (x: TrapezoidArgs['dt']) => held(x, T, H).read()
  const ofHead = (x: TrapezoidArgs['D']) => held(x, 1, H).read()
  const [v, k, q] = [held(args.v, T, H * P), held(args.k, T, H * N), held(args.q, T, H * N)].map((x) => x.read())
  const { now, before, logs } = factors(tf, {
    ...{ dt: tf.add(perRow(args.dt), ofHead(args.dtBias)), A: perRow(args.A), trap: perRow(args.trap) },
    leastRate: args.leastRate,
  })
  const parts = turnedParts(args.segments, 'forward', T)
  const last = (x: TrapezoidArgs['D'] | undefined, cols: number) =>
    x ? new Reshaped(tf, held(x, x.rows, cols), x.rows / H, H * cols) : null
  const rows = {
    ...{ q, k, v: perHead(tf, v, now), logs },
    pastK: rowsBefore(tf, k, parts, last(state?.k, N)),
    pastV: perHead(tf, rowsBefore(tf, v, parts, last(state?.v, P)), before),
  }
  const ssm = state && held(state.ssm, state.ssm.rows, N)
  const y = overBlocks(tf, { parts, H, rows, W: H * P * N, state: ssm, tileNumbers }, (x, tile) =>
    matrixForm(tf, x.q, [x, { k: x.pastK, v: x.pastV }], remainsOf(tf, x.logs), tile),
  )
  return tf.add(y, perHead(tf, v, ofHead(args.D)))
}

/** [T, H] of all: what a row itself gives, what the row before it gives, and the logarithm of the decay. */
function factors(
  tf: Tfjs,
  { dt, A, trap, leastRate }: { dt: Tensor2D; A: Tensor2D; trap: Tensor2D; leastRate: number },
) {
  const [step, share] = [tf.softplus(dt), tf.sigmoid(trap)]
  // 1 + A, below zero 1 / (1 - A)
  const rate = tf.add(tf.relu(A), tf.reciprocal(tf.add(tf.relu(tf.neg(A)), 1)))
  const logs: Tensor2D = tf.neg(tf.mul(tf.maximum(rate, leastRate), step))
  const now: Tensor2D = tf.mul(share, step)
  const before: Tensor2D = tf.mul(tf.mul(tf.sub(1, share), step), tf.exp(logs))
  return { now, before, logs }
}
