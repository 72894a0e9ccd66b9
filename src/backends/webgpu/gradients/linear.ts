import type { Gradients } from '../../backend.js'
import type { Machine } from '../machine.js'
import { productKernel } from '../product.js'
import { type GpuTensor, gpu, optional, reshaped } from '../tensor.js'
import { type Tile, tileCols, tileRows } from '../tile.js'
import { foldRows } from './fold.js'

/** Workgroups that keep a large GPU busy, and numbers of a sum that are worth one: reasoned, not measured. */
const busyGroups = 256
const leastSum = 256

interface Factor {
  x: GpuTensor
  /** It lies as [I, T] or [I, O]. */
  turned: boolean
}

/** into [T, O] += the product of a [T, I] and b [O, I]. */
function addProduct(machine: Machine, tile: Tile, a: Factor, b: Factor, I: number, into: GpuTensor | null): void {
  if (!into) return
  const [T, O] = [into.rows, into.cols]
  const across = Math.ceil(O / tileCols(tile))
  const tiles = across * Math.ceil(T / tileRows(tile))
  const parts = Math.min(Math.ceil(busyGroups / tiles), Math.ceil(I / leastSum))
  const each = Math.ceil(I / parts)
  const turned = { x: a.turned, w: b.turned }
  const plain = { dtype: 'f32', bias: false, residual: false, activation: 'none', turned } as const
  const run = (y: GpuTensor, how: 'sums' | 'parts') =>
    machine.run(productKernel(tile, { ...plain, into: how }), {
      tensors: { x: a.x, w: b.x, y },
      numbers: { T, I, O, across, tiles, each },
      blocks: how === 'parts' ? parts * tiles : tiles,
    })
  if (parts <= 1) {
    run(into, 'sums')
    return
  }
  const products = machine.allocate(parts, T * O)
  run(reshaped(products, parts * T, O), 'parts')
  foldRows(machine, products, into)
  machine.release(products)
}

export const linearGradient =
  (machine: Machine, tile: Tile): Gradients['linear'] =>
  async (dy, x, weight, { dx, dWeight, dBias }) => {
    await machine.pace()
    const [T, I, O] = [x.rows, x.cols, weight.rows]
    const [d, input, w] = [gpu(dy, T, O), gpu(x), gpu(weight, O, I)]
    foldRows(machine, d, optional(dBias, 1, O))
    addProduct(machine, tile, { x: d, turned: false }, { x: w, turned: true }, O, optional(dx, T, I))
    addProduct(machine, tile, { x: d, turned: true }, { x: input, turned: true }, T, optional(dWeight, O, I))
  }
