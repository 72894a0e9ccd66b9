import type { FileHandle } from 'node:fs/promises'
import { broken, openRegular } from '../files.js'
import { rowMajorStrides } from '../gather.js'
import { bytesPer, readBytes, TensorFile, type TensorInfo } from '../tensor-file.js'
import { readArchive, type Saved, zipMagic } from './archive.js'
import { legacyMagic, readLegacy } from './legacy.js'
import { Dict, kindOf, PickledTensor } from './values.js'

/**
 * Tied weights are views of one storage, so tensors may take more together than their file: a head and an embedding, the projections of both
 * directions. By more than this it is a small file that asks for much memory.
 */
const mostSharing = 16

/** Reads the state dict that torch.save wrote, as a zip file or as the stream of versions before 1.6. Nothing in the file is run. */
export class PytorchFile extends TensorFile {
  /** Errors: 69, one line with the file and what of it is refused. */
  static async open(path: string): Promise<PytorchFile> {
    const { file, size } = await openRegular(path)
    try {
      return new PytorchFile(path, tensorsOf(path, await read(path, file, size), size), file)
    } catch (error) {
      await file.close()
      throw error
    }
  }
}

async function read(path: string, file: FileHandle, size: number): Promise<Saved> {
  const head = Buffer.alloc(Math.min(size, legacyMagic.length))
  await readBytes(path, file, 0, head)
  if (head.indexOf(zipMagic) === 0) return readArchive(path, file.fd, size)
  if (head.equals(legacyMagic)) return readLegacy(path, file.fd, size)
  throw broken(path, 'not a file of torch.save: it begins neither as its zip file nor as its stream')
}

function tensorsOf(path: string, { value, place }: Saved, size: number): Map<string, TensorInfo> {
  if (!(value instanceof Dict)) throw broken(path, `holds ${kindOf(value)}, expected a dict of tensors`)
  const tensors = new Map<string, TensorInfo>()
  let total = 0
  for (const [name, tensor] of value.entries) {
    if (typeof name !== 'string' || !(tensor instanceof PickledTensor))
      throw broken(path, `holds ${kindOf(tensor)} as ${name}, expected nothing but tensors by their names`)
    const info = locate(tensor, place, (what) => broken(path, `tensor ${name} ${what}`))
    total += info.bytes
    tensors.set(name, info)
  }
  if (total > mostSharing * size) throw broken(path, `${total} bytes of tensors in a file of ${size}`)
  return tensors
}

/** Where a tensor lies in the file. */
function locate(tensor: PickledTensor, place: Saved['place'], fail: (what: string) => Error): TensorInfo {
  const { storage, dtype, shape, strides, offset } = tensor
  const size = bytesPer[dtype]
  const found = place(storage.key)
  if (!found) throw fail(`is of storage ${storage.key}, which is missing`)
  const declared = storage.length * bytesPer[storage.dtype ?? 'U8']
  if (declared !== found.bytes) throw fail(`is of storage ${storage.key} of ${found.bytes} bytes, expected ${declared}`)
  const info = { dtype, shape: [...shape], begin: found.begin + offset * size, bytes: 0 }
  if (shape.includes(0)) return info
  // From the smallest stride on: each must step over all that the ones before it reach.
  let last = 0
  for (const [stride, count] of shape.map((n, i) => [strides[i], n] as const).sort(([a], [b]) => a - b)) {
    if (count === 1) continue
    if (stride <= last)
      throw fail(`has strides [${strides.join(', ')}], by which values of [${shape.join(', ')}] overlap`)
    last += stride * (count - 1)
  }
  const end = (offset + last + 1) * size
  if (end > found.bytes) throw fail(`ends at byte ${end} of storage ${storage.key}, which has ${found.bytes}`)
  info.bytes = shape.reduce((product, n) => product * n, size)
  const rows = rowMajorStrides(shape)
  return shape.every((n, i) => n === 1 || strides[i] === rows[i]) ? info : { ...info, strides }
}
