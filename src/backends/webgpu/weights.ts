import { exitCodes, UserError } from '../../errors.js'
import type { Tensor } from '../backend.js'
import { type Weight, widened } from '../weight.js'
import type { Machine } from './machine.js'
import { type GpuTensor, gpu, rowsOf } from './tensor.js'

/** A weight that is larger than a tensor may be: tensors of its rows, one after the other. Products and look-ups read it. */
class SplitWeight implements Tensor {
  constructor(
    readonly rows: number,
    readonly cols: number,
    readonly parts: readonly GpuTensor[],
  ) {}
}

/** Bytes that are copied at a time: from shared memory, which the binding of WebGPU does not take. */
const copiedBytes = 4 * 2 ** 20

/** Puts a weight on the GPU. Errors: UserError with exit code 69 that names one with rows larger than a tensor may be. */
export function uploadWeight(machine: Machine, weight: Weight, name: string): Tensor {
  const { rows, cols } = weight
  const most = Math.floor(machine.tensorBytes / (4 * cols))
  if (most === 0) {
    const text = `a row of the weight ${name} takes ${4 * cols} bytes, and a tensor on this GPU ${machine.tensorBytes} at the most`
    throw new UserError(`${text}: use the device cpu`, exitCodes.unavailable)
  }
  const parts: GpuTensor[] = []
  for (let from = 0; from < rows; from += most) {
    const part = machine.allocate(Math.min(most, rows - from), cols)
    fill(machine, part, weight, from)
    parts.push(part)
  }
  return parts.length === 1 ? parts[0] : new SplitWeight(rows, cols, parts)
}

/** Copies the rows of a weight from row `from` on. */
function fill(machine: Machine, part: GpuTensor, { cols, dtype, data }: Weight, from: number): void {
  const step = Math.min(part.rows, Math.max(1, Math.floor(copiedBytes / (4 * cols))))
  const copy = new Float32Array(step * cols)
  for (let row = 0; row < part.rows; row += step) {
    const rows = Math.min(step, part.rows - row)
    const some = data.subarray((from + row) * cols, (from + row + rows) * cols)
    copy.set(widened({ rows, cols, dtype, data: some } as Weight))
    machine.write(rowsOf(part, row, row + rows), copy.subarray(0, rows * cols))
  }
}

/** The tensors that a weight lies in, in the order of its rows: one, unless it was split. */
export const partsOfWeight = (weight: Tensor): readonly GpuTensor[] =>
  weight instanceof SplitWeight ? weight.parts : [gpu(weight)]
