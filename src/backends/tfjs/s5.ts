import type { Tensor2D } from '@tensorflow/tfjs-core'
import type { S5Args } from '../backend.js'
import { stepsOf } from '../s5.js'
import { type Held, held } from './held.js'
import type { Tfjs } from './load.js'
import { complexModes } from './modes.js'
import { turned, turnedParts } from './reading.js'
import { overTiles, type Scanned, type Tile } from './tiles.js'

/** [T, 2 P] */
export function s5(tf: Tfjs, args: S5Args, state: Held | null, tileNumbers: number): Tensor2D {
  const [T, P] = [args.u.rows, args.log_step.cols]
  const steps = stepsOf({
    Lambda: held(args.Lambda, P, 2).read().dataSync<'float32'>(),
    log_step: held(args.log_step, 1, P).read().dataSync<'float32'>(),
  })
  const modes = complexModes(
    tf,
    steps.flatMap(({ w }) => [...w]),
  )
  const weights = steps.flatMap(({ held }) => [...held])
  const u = turned(tf, held(args.u, T, 2 * P).read(), args.direction)

  function scanTile(tile: Tile): Scanned {
    const input = modes.product(modes.toPlanes(tf.gather(u, tile.rows), tile.count), weights)
    const states = modes.fromPlanes(modes.states(input, tile), tile.count)
    return { y: states, states }
  }

  const parts = turnedParts(args.segments, args.direction, T)
  return turned(tf, overTiles(tf, parts, 2 * P, tileNumbers, state, scanTile), args.direction)
}
