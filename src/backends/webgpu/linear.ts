import type { Backend } from '../backend.js'
import type { Machine } from './machine.js'
import type { Product } from './product.js'
import { columnsOf, type GpuTensor, gpu, optional } from './tensor.js'
import { partsOfWeight } from './weights.js'

export const linear =
  (machine: Machine, product: Product): Backend['linear'] =>
  async (x, weight, options = {}) => {
    await machine.pace()
    const [T, I, O] = [x.rows, x.cols, weight.rows]
    const bias = optional(options.bias, 1, O)
    const residual = optional(options.residual, T, O)
    const fused = { bias: !!bias, residual: !!residual, activation: options.activation ?? 'none' }
    const y = machine.allocate(T, O)
    let to = 0
    for (const part of partsOfWeight(weight)) {
      const [from, rows] = [to, part.rows]
      to += rows
      const across = Math.ceil(rows / product.cols)
      const of = (whole: GpuTensor) => columnsOf(whole, from, to)
      machine.run(product.kernel({ dtype: part.dtype, ...fused }), {
        tensors: {
          x: gpu(x),
          w: gpu(part, rows, I),
          y: of(y),
          ...(bias && { bias: of(bias) }),
          ...(residual && { residual: of(residual) }),
        },
        numbers: { T, I, O: rows, across },
        blocks: across * Math.ceil(T / product.rows),
      })
    }
    return y
  }
