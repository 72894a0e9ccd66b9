import type { Backend } from '../backend.js'
import type { Machine } from './machine.js'
import { productKernel } from './product.js'
import { columnsOf, type GpuTensor, gpu, optional } from './tensor.js'
import { type Tile, tileCols, tileRows } from './tile.js'
import { partsOfWeight } from './weights.js'

export const linear =
  (machine: Machine, tile: Tile): Backend['linear'] =>
  async (x, weight, options = {}) => {
    await machine.pace()
    const [T, I, O] = [x.rows, x.cols, weight.rows]
    const bias = optional(options.bias, 1, O)
    const residual = optional(options.residual, T, O)
    const fused = {
      bias: !!bias,
      residual: !!residual,
      activation: options.activation ?? 'none',
      turned: { x: false, w: false },
      into: 'result',
    } as const
    const y = machine.allocate(T, O)
    let to = 0
    for (const part of partsOfWeight(weight)) {
      const [from, rows] = [to, part.rows]
      to += rows
      const across = Math.ceil(rows / tileCols(tile))
      const of = (whole: GpuTensor) => columnsOf(whole, from, to)
      machine.run(productKernel(tile, { dtype: part.dtype, ...fused }), {
        tensors: {
          x: gpu(x),
          w: gpu(part, rows, I),
          y: of(y),
          ...(bias && { bias: of(bias) }),
          ...(residual && { residual: of(residual) }),
        },
        numbers: { T, I, O: rows, across },
        blocks: across * Math.ceil(T / tileRows(tile)),
      })
    }
    return y
  }
