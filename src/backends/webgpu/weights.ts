import { exitCodes, UserError } from '../../errors.js'
import type { Tensor } from '../backend.js'
import { type Weight, widened } from '../weight.js'
import type { Machine } from './machine.js'
import { type GpuTensor, gpu } from './tensor.js'

/** A weight that is larger than a tensor may be: tensors of its rows, one after the other. Products and look-ups read it. */
class SplitWeight implements Tensor {
  constructor(
    readonly rows: number,
    readonly cols: number,
    readonly parts: readonly GpuTensor[],
  ) {}
}

/** Puts a weight on the GPU. Errors: UserError with exit code 69 that names one with rows larger than a tensor may be. */
export function uploadWeight(machine: Machine, weight: Weight, name: string): Tensor {
  const { rows, cols } = weight
  const rowsAtOnce = Math.floor(machine.tensorBytes / (4 * cols))
  if (rowsAtOnce === 0) {
    const text = `a row of the weight ${name} takes ${4 * cols} bytes, and a tensor on this GPU ${machine.tensorBytes} at the most`
    throw new UserError(`${text}: use the device cpu`, exitCodes.unavailable)
  }
  const numbers = widened(weight)
  const parts: GpuTensor[] = []
  for (let from = 0; from < rows; from += rowsAtOnce) {
    const part = machine.allocate(Math.min(rowsAtOnce, rows - from), cols)
    machine.write(part, Float32Array.from(numbers.subarray(from * cols, (from + part.rows) * cols)))
    parts.push(part)
  }
  return parts.length === 1 ? parts[0] : new SplitWeight(rows, cols, parts)
}

/** The tensors that a weight lies in, in the order of its rows: one, unless it was split. */
export const partsOfWeight = (weight: Tensor): readonly GpuTensor[] =>
  weight instanceof SplitWeight ? weight.parts : [gpu(weight)]
