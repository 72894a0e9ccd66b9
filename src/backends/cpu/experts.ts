import type { Tensor } from '../backend.js'
import { sharesGradient, sharesOf } from '../route.js'
import { at, type CpuTensor, cpu, expectShape, type Machine, newTensor, withScratch } from './tensor.js'

/** Row t of x in the memory. */
const rowOf = ({ memory }: Machine, x: CpuTensor, t: number): Float32Array =>
  memory.f32.subarray((x.at + t * x.step) / 4, (x.at + t * x.step) / 4 + x.cols)

/** See `Backend.route`: few numbers, on the host. */
export function route(machine: Machine, logits: Tensor, active: number, over: 'active' | 'all'): CpuTensor {
  const x = cpu(logits)
  const y = newTensor(machine, x.rows, x.cols)
  for (let t = 0; t < x.rows; t++) rowOf(machine, y, t).set(sharesOf(rowOf(machine, x, t), active, over))
  return y
}

/** See `Gradients.route`. */
export function routeGradient(
  machine: Machine,
  dy: Tensor,
  logits: Tensor,
  active: number,
  over: 'active' | 'all',
  dlogits: Tensor,
): void {
  for (const one of [dy, dlogits]) expectShape('gradient', one, logits.rows, logits.cols)
  const [d, x, into] = [dy, logits, dlogits].map(cpu)
  for (let t = 0; t < x.rows; t++) {
    const gradient = sharesGradient(rowOf(machine, d, t), rowOf(machine, x, t), active, over)
    const sums = rowOf(machine, into, t)
    for (const [i, one] of gradient.entries()) sums[i] += one
  }
}

/** Runs a kernel with the numbers of rows of a tensor in the memory. Errors: RangeError for one that it does not have. */
function withRows(machine: Machine, rows: Int32Array, most: number, run: (ids: number) => void): void {
  for (const row of rows) if (!(row >= 0 && row < most)) throw new RangeError(`row ${row} of ${most}`)
  withScratch(machine, rows.length * 4, (ids) => {
    machine.memory.i32.set(rows, ids / 4)
    run(ids)
  })
}

/** See `Backend.addRows`. */
export function addRows(machine: Machine, into: Tensor, given: Tensor, rows: Int32Array, shares: Tensor): void {
  const [y, x, share] = [cpu(into), cpu(given), cpu(shares)]
  expectShape('rows to add', x, rows.length, y.cols)
  expectShape('shares', share, y.rows, 1)
  withRows(machine, rows, y.rows, (ids) =>
    machine.kernels.addRows({
      count: rows.length,
      cols: y.cols,
      x: x.at,
      xStep: x.step,
      ids,
      shares: share.at,
      sharesStep: share.step,
      y: y.at,
      yStep: y.step,
    }),
  )
}

/** See `Gradients.addRows`. */
export function addRowsGradient(
  machine: Machine,
  dy: Tensor,
  given: Tensor,
  rows: Int32Array,
  shares: Tensor,
  { dx, dshares }: { dx: Tensor | null; dshares: Tensor | null },
): void {
  const [d, x, share] = [cpu(dy), cpu(given), cpu(shares)]
  for (const one of [x, dx]) expectShape('rows that were added', one, rows.length, d.cols)
  for (const one of [share, dshares]) expectShape('shares', one, d.rows, 1)
  withRows(machine, rows, d.rows, (ids) =>
    machine.kernels.addRowsGrad({
      count: rows.length,
      cols: d.cols,
      dy: d.at,
      dyStep: d.step,
      x: x.at,
      xStep: x.step,
      ids,
      shares: share.at,
      sharesStep: share.step,
      dx: at(dx),
      dxStep: dx ? cpu(dx).step : 0,
      dshares: at(dshares),
      dsharesStep: dshares ? cpu(dshares).step : 0,
    }),
  )
}
