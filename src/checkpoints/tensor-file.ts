import type { FileHandle } from 'node:fs/promises'
import { type Dtype, newWeight, type Weight } from '../backends/weight.js'
import { broken } from './files.js'
import { gather } from './gather.js'

/** Bytes of a value, by the names that safetensors has for types. */
export const bytesPer: Readonly<Record<string, number>> = {
  BOOL: 1, U8: 1, I8: 1, F8_E4M3: 1, F8_E5M2: 1, U16: 2, I16: 2, F16: 2, BF16: 2, U32: 4, I32: 4, F32: 4, U64: 8, I64: 8, F64: 8,
} // biome-ignore format: a table

const maxRead = 2 ** 30

const dtypes: Record<string, Dtype> = { F32: 'f32', F16: 'f16', BF16: 'bf16' }

export interface TensorInfo {
  dtype: string
  shape: number[]
  /** Position in the file, bytes. */
  begin: number
  /** Of its values. */
  bytes: number
  /** Only where its values do not lie row by row: how many values lie between neighbours along each dimension. */
  strides?: readonly number[]
}

/** A file whose tensors lie where its header or its directory says; they are read one by one. */
export class TensorFile {
  protected constructor(
    readonly path: string,
    readonly tensors: ReadonlyMap<string, TensorInfo>,
    private readonly file: FileHandle,
  ) {}

  /**
   * A tensor of floats as a matrix: all dimensions before the last are its rows, [n] is [1, n]. Errors: 69 for an unknown
   * name or a dtype that holds no floats.
   */
  async weight(name: string): Promise<Weight> {
    const { dtype, shape } = this.info(name)
    if (!(dtype in dtypes)) throw broken(this.path, `tensor ${name} has dtype ${dtype}, expected F32, F16 or BF16`)
    const rows = shape.slice(0, -1).reduce((product, n) => product * n, 1)
    const weight = newWeight(dtypes[dtype], rows, shape.at(-1) ?? 1)
    await this.read(name, 0, new Uint8Array(weight.data.buffer))
    return weight
  }

  /** The values of an I64, I32 or U8 tensor. Errors: 69 for another dtype or a value beyond 32 bits. */
  async integers(name: string): Promise<Int32Array> {
    const { dtype } = this.info(name)
    const bytes = new Uint8Array(this.info(name).bytes)
    await this.read(name, 0, bytes)
    if (dtype === 'I32') return new Int32Array(bytes.buffer)
    if (dtype === 'U8') return Int32Array.from(bytes)
    if (dtype !== 'I64') throw broken(this.path, `tensor ${name} has dtype ${dtype}, expected I64, I32 or U8`)
    return Int32Array.from(new BigInt64Array(bytes.buffer), (value) => {
      if (value !== BigInt.asIntN(32, value)) throw broken(this.path, `tensor ${name} holds ${value}, beyond 32 bits`)
      return Number(value)
    })
  }

  /** Errors: 69 for an unknown name. */
  info(name: string): TensorInfo {
    const info = this.tensors.get(name)
    if (!info) throw broken(this.path, `tensor ${name} is missing`)
    return info
  }

  /** Fills `into` with the bytes of a tensor from its byte `from` on; one with strides is read whole. */
  read(name: string, from: number, into: Uint8Array): Promise<void> {
    const info = this.info(name)
    if (!info.strides) return readBytes(this.path, this.file, info.begin + from, into)
    if (from !== 0 || into.length !== info.bytes) throw new Error('a tensor with strides is read whole')
    const fill = (begin: number, bytes: Uint8Array) => readBytes(this.path, this.file, begin, bytes)
    return gather(info, info.strides, bytesPer[info.dtype], fill, into)
  }

  close(): Promise<void> {
    return this.file.close()
  }
}

/** Fills `bytes` from byte `begin` of the file on. Errors: 69 where the file ends before. */
export async function readBytes(path: string, file: FileHandle, begin: number, bytes: Uint8Array): Promise<void> {
  const { length } = bytes
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, Math.min(length - done, maxRead), begin + done)
    if (bytesRead === 0) throw broken(path, `ends at byte ${begin + done}, expected ${begin + length}`)
    done += bytesRead
  }
}
