import { exitCodes, UserError } from '../../errors.js'
import type { Tensor } from '../backend.js'
import { type Dtype, dtypeBytes, rowsOf, type Weight, widened } from '../weight.js'
import type { Machine } from './machine.js'
import { type GpuTensor, gpu, StoredWeight } from './tensor.js'

/** Numbers that are copied at a time: from shared memory, which the binding of WebGPU does not take. */
const copiedNumbers = 2 ** 20

/**
 * Puts a weight on the GPU, in its own type; vectors, which are small and no factor of a product, as float32. Errors: UserError with exit
 * code 69 that names one with rows larger than a tensor may be.
 */
export function uploadWeight(machine: Machine, weight: Weight, name: string): Tensor {
  const { rows, cols } = weight
  const dtype = rows === 1 ? 'f32' : weight.dtype
  const rowBytes = dtypeBytes[dtype] * cols
  const most = Math.floor(machine.tensorBytes / rowBytes)
  if (most === 0) {
    const text = `a row of the weight ${name} takes ${rowBytes} bytes, and a tensor on this GPU ${machine.tensorBytes} at the most`
    throw new UserError(`${text}: use the device cpu`, exitCodes.unavailable)
  }
  const parts: GpuTensor[] = []
  for (let from = 0; from < rows; from += most)
    parts.push(uploaded(machine, rowsOf(weight, from, Math.min(rows, from + most)), dtype))
  if (parts.length === 1 && dtype === 'f32') return parts[0]
  return new StoredWeight(rows, cols, parts, () => uploaded(machine, weight, 'f32'))
}

/** A tensor of its numbers, in its own type or as float32. */
function uploaded(machine: Machine, weight: Weight, dtype: Dtype): GpuTensor {
  const { rows, cols, data } = weight
  const tensor = machine.allocate(rows, cols, dtype)
  for (let from = 0; from < data.length; from += copiedNumbers) {
    const count = Math.min(copiedNumbers, data.length - from)
    const some = { ...weight, data: data.subarray(from, from + count) } as Weight
    machine.write(tensor, dtype === 'f32' ? new Float32Array(widened(some)) : evenHalves(some.data), from)
  }
  return tensor
}

/** A copy, with a zero after an odd number of them: WebGPU writes whole integers, for which every buffer has room. */
function evenHalves(halves: ArrayLike<number>): Uint16Array<ArrayBuffer> {
  const even = new Uint16Array(2 * Math.ceil(halves.length / 2))
  even.set(halves)
  return even
}

/** The tensors that a weight is read from by products and look-ups, in the order of its rows. */
export const partsOfWeight = (weight: Tensor): readonly GpuTensor[] =>
  weight instanceof StoredWeight ? weight.parts : [gpu(weight)]

/** All that a tensor or weight takes. */
export const tensorsOf = (x: Tensor): readonly GpuTensor[] => (x instanceof StoredWeight ? x.tensors : [gpu(x)])
