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
export function rotateGradient(machine: Machine, dy: Tensor, turns: Tensor, heads: number, pairs: Pairs, dx: Tensor) {
  expectShape('dx', dx, dy.rows, dy.cols)
  turn(machine, cpu(dy), turns, heads, pairs, -1, true, cpu(dx))
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
  const { width, n } = pairsTurned(x.cols, heads, turns.cols)
  const [[a, b], [next]] = [pairOf(pairs, 0, n), pairOf(pairs, 1, n)]
  const angles = cpu(turns)
  machine.kernels.rotateRows({
    rows: x.rows,
    heads,
    dim: width,
    n,
    apart: 4 * (b - a),
    next: 4 * next,
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
