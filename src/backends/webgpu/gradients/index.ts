import type { Gradients } from '../../backend.js'
import type { Machine } from '../machine.js'
import type { Tile } from '../tile.js'
import { adamw } from './adamw.js'
import { attentionGradient } from './attention.js'
import { convGradient, unfoldGradient } from './conv.js'
import { activateGradient, combineGradient, scaleGradient } from './elementwise.js'
import { addRowsGradient, routeGradient } from './experts.js'
import { gatedDeltaGradient } from './gated-delta.js'
import { globalNorm } from './global-norm.js'
import { linearGradient } from './linear.js'
import { normGradient } from './norm.js'
import { rotateGradient } from './rotate.js'
import { poolGradient, scatterGradient } from './rows.js'
import { runningMean } from './running-mean.js'
import { s4dGradient } from './s4d.js'
import { s5Gradient } from './s5.js'
import { scanGradient } from './scan.js'
import { ssdGradient } from './ssd.js'
import { trapezoidGradient } from './trapezoid.js'
import { turnsGradient } from './turns.js'

/** The gradients of the webgpu backend. Each adds to the given tensors, in an order that depends on the shapes and the GPU's limits alone. */
export function webgpuGradients(machine: Machine, tile: Tile): Gradients {
  const scatter = scatterGradient(machine)
  return {
    embedRows: scatter,
    gatherRows: scatter,
    linear: linearGradient(machine, tile),
    norm: normGradient(machine),
    causalConv: convGradient(machine),
    keptStates: () => null,
    selectiveScan: (dy, args, into, dState) => scanGradient(machine, dy, args, into, { dLast: dState }),
    s4d: (dy, args, into) => s4dGradient(machine, dy, args, into),
    s5: (dy, args, into) => s5Gradient(machine, dy, args, into),
    ssd: (dy, args, into, ends) => ssdGradient(machine, dy, args, into, ends),
    gatedDelta: (dy, args, into) => gatedDeltaGradient(machine, dy, args, into),
    turns: (dy, args, into) => turnsGradient(machine, dy, args, into),
    trapezoid: (dy, args, into) => trapezoidGradient(machine, dy, args, into),
    attention: (dy, args, into) => attentionGradient(machine, dy, args, into),
    rotate: rotateGradient(machine),
    route: routeGradient(machine),
    addRows: addRowsGradient(machine),
    scale: scaleGradient(machine),
    combine: combineGradient(machine),
    activate: activateGradient(machine),
    unfold: unfoldGradient(machine),
    pool: poolGradient(machine),
    globalNorm: globalNorm(machine),
    adamw: adamw(machine),
    runningMean: runningMean(machine),
  }
}
