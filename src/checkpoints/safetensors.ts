import type { FileHandle } from 'node:fs/promises'
import { type Dtype, newWeight, type Weight } from '../backends/weight.js'
import { inWords } from '../text/schema.js'
import { broken, openRegular } from './files.js'
import { parseObject } from './json.js'

/**
 * Reads safetensors files (https://github.com/huggingface/safetensors): 8 bytes of header length, a JSON header, then
 * the data of all tensors without gaps. The header is checked before anything is believed; tensors are read one by one.
 */

const bytesPer: Record<string, number> = {
  BOOL: 1, U8: 1, I8: 1, F8_E4M3: 1, F8_E5M2: 1, U16: 2, I16: 2, F16: 2, BF16: 2, U32: 4, I32: 4, F32: 4, U64: 8, I64: 8, F64: 8,
} // biome-ignore format: a table

/** A tensor takes about 100 bytes of it, published models at most 200 kB; a larger length means that this is some other file. */
const maxHeader = 2 ** 24
const maxRead = 2 ** 30

const dtypes: Record<string, Dtype> = { F32: 'f32', F16: 'f16', BF16: 'bf16' }

export interface TensorInfo {
  dtype: string
  shape: number[]
  /** Position in the file, bytes. */
  begin: number
  bytes: number
}

export class SafetensorsFile {
  private constructor(
    readonly path: string,
    readonly tensors: ReadonlyMap<string, TensorInfo>,
    readonly metadata: Readonly<Record<string, string>>,
    private readonly file: FileHandle,
  ) {}

  /** Errors: 69, one line with the file and the tensor, when the file is missing or its header is broken. */
  static async open(path: string): Promise<SafetensorsFile> {
    const { file, size } = await openRegular(path)
    try {
      const { tensors, metadata } = await readHeader(path, file, size)
      return new SafetensorsFile(path, tensors, metadata, file)
    } catch (error) {
      await file.close()
      throw error
    }
  }

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

  close(): Promise<void> {
    return this.file.close()
  }

  /** Fills `into` with the bytes of a tensor from its byte `from` on. */
  read(name: string, from: number, into: Uint8Array): Promise<void> {
    return read(this.path, this.file, this.info(name).begin + from, into)
  }
}

/** Fills `bytes` from byte `begin` of the file on. */
async function read(path: string, file: FileHandle, begin: number, bytes: Uint8Array): Promise<void> {
  const { length } = bytes
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, Math.min(length - done, maxRead), begin + done)
    if (bytesRead === 0) throw broken(path, `ends at byte ${begin + done}, expected ${begin + length}`)
    done += bytesRead
  }
}

async function readHeader(path: string, file: FileHandle, size: number) {
  if (size < 8) throw broken(path, `not a safetensors file: ${size} bytes, expected at least 8`)
  const first = new BigUint64Array(1)
  await read(path, file, 0, new Uint8Array(first.buffer))
  const length = Number(first[0])
  if (length > maxHeader) throw broken(path, `not a safetensors file: header length ${length}`)
  if (8 + length > size) throw broken(path, `truncated: ${size} bytes, the header alone takes ${8 + length}`)
  const bytes = new Uint8Array(length)
  await read(path, file, 8, bytes)
  const text = new TextDecoder().decode(bytes)
  const { __metadata__: metadata = {}, ...entries } = parseObject(path, text, 'tensor')
  const tensors = new Map<string, TensorInfo>()
  for (const [name, entry] of Object.entries(entries)) tensors.set(name, tensorInfo(path, name, entry, 8 + length))
  checkLayout(path, tensors, 8 + length, size)
  return { tensors, metadata: isRecord(metadata) ? (metadata as Record<string, string>) : {} }
}

function tensorInfo(path: string, name: string, entry: unknown, dataStart: number): TensorInfo {
  if (!isRecord(entry)) throw broken(path, `tensor ${name}: the header entry is not an object`)
  const { dtype, shape, data_offsets: offsets } = entry
  if (typeof dtype !== 'string' || !Object.hasOwn(bytesPer, dtype))
    throw broken(path, `tensor ${name}: unknown dtype ${inWords(dtype)}`)
  if (!isCounts(shape)) throw broken(path, `tensor ${name}: shape ${inWords(shape)} is not a list of lengths`)
  if (!isCounts(offsets) || offsets.length !== 2 || offsets[1] < offsets[0]) {
    throw broken(path, `tensor ${name}: data_offsets ${inWords(offsets)}, expected [begin, end]`)
  }
  const bytes = offsets[1] - offsets[0]
  const expected = shape.reduce((product, n) => product * n, bytesPer[dtype])
  if (bytes !== expected) {
    throw broken(
      path,
      `tensor ${name}: ${dtype} [${shape.join(', ')}] takes ${expected} bytes, data_offsets hold ${bytes}`,
    )
  }
  return { dtype, shape, begin: dataStart + offsets[0], bytes }
}

/** The tensors must fill the file from the header to the end, without gap or overlap. */
function checkLayout(path: string, tensors: Map<string, TensorInfo>, dataStart: number, size: number): void {
  let at = dataStart
  const inOrder = [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.bytes - b.bytes)
  for (const [name, { begin, bytes }] of inOrder) {
    if (begin < at) throw broken(path, `tensor ${name} overlaps the one before it`)
    if (begin > at) throw broken(path, `tensor ${name} begins at byte ${begin}, expected ${at}`)
    at = begin + bytes
    if (at > size) throw broken(path, `truncated: tensor ${name} ends at byte ${at}, the file at ${size}`)
  }
  if (at < size) throw broken(path, `${size - at} bytes after the last tensor`)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0)
}
