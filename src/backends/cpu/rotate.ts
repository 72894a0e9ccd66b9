import type { Pairs, Tensor } from '../backend.js'
import { pairOf, pairsTurned } from '../pairs.js'
import { type CpuTensor, cpu, expectShape, type Machine, newTensor } from './tensor.js'

/** See `Backend.rotate`. */
export function rotate(machine: Machine, x: Tensor, turns: Tensor, heads: number, pairs: Pairs): CpuTensor {
  const y = newTensor(machine, x.rows, x.cols)
  turn(machine, cpu(x), turns, heads, pairs, 1, false, y)
  return y
}

/** See `Gradients.rotate`. */
export function rotateGradient(
  machine: Machine,
  dy: Tensor,
  x: Tensor,
  turns: Tensor,
  heads: number,
  pairs: Pairs,
  { dx, dturns }: { dx: Tensor | null; dturns: Tensor | null },
) {
  expectShape('dx', dx, dy.rows, dy.cols)
  expectShape('dturns', dturns, dy.rows, turns.cols)
  if (dx) turn(machine, cpu(dy), turns, heads, pairs, -1, true, cpu(dx))
  if (!dturns) return
  expectShape('x', x, dy.rows, dy.cols)
  const [d, from, to] = [dy, x, dturns].map(cpu)
  machine.kernels.rotateTurnsGrad({
    ...shapeOf(x, turns, heads, pairs),
    dy: d.at,
    dyStep: d.step,
    x: from.at,
    xStep: from.step,
    dturns: to.at,
    dturnsStep: to.step,
  })
}

/** Pairs of numbers as the kernels have them. */
function shapeOf({ rows, cols }: Tensor, turns: Tensor, heads: number, pairs: Pairs) {
  const { width, n } = pairsTurned(cols, heads, turns.cols)
  const [[a, b], [next]] = [pairOf(pairs, 0, n), pairOf(pairs, 1, n)]
  return { rows, heads, dim: width, n, apart: 4 * (b - a), next: 4 * next }
}

function turn(
  machine: Machine,
  x: CpuTensor,
  turns: Tensor,
  heads: number,
  pairs: Pairs,
  sign: 1 | -1,
  add: boolean,
  y: CpuTensor,
): void {
  expectShape('turns', turns, x.rows, turns.cols)
  const angles = cpu(turns)
  machine.kernels.rotateRows({
    ...shapeOf(x, turns, heads, pairs),
    sign,
    x: x.at,
    xStep: x.step,
    turns: angles.at,
    turnsStep: angles.step,
    add: add ? 1 : 0,
    y: y.at,
    yStep: y.step,
  })
}
