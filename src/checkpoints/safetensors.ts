import type { FileHandle } from 'node:fs/promises'
import { inWords } from '../text/schema.js'
import { broken, openRegular } from './files.js'
import { parseObject } from './json.js'
import { bytesPer, readBytes, TensorFile, type TensorInfo } from './tensor-file.js'

/**
 * Reads safetensors files (https://github.com/huggingface/safetensors): 8 bytes of header length, a JSON header, then
 * the data of all tensors without gaps. The header is checked before anything is believed; tensors are read one by one.
 */

/** A tensor takes about 100 bytes of it, published models at most 200 kB; a larger length means that this is some other file. */
const maxHeader = 2 ** 24

export class SafetensorsFile extends TensorFile {
  private constructor(
    path: string,
    tensors: ReadonlyMap<string, TensorInfo>,
    readonly metadata: Readonly<Record<string, string>>,
    file: FileHandle,
  ) {
    super(path, tensors, file)
  }

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
}

async function readHeader(path: string, file: FileHandle, size: number) {
  if (size < 8) throw broken(path, `not a safetensors file: ${size} bytes, expected at least 8`)
  const first = new BigUint64Array(1)
  await readBytes(path, file, 0, new Uint8Array(first.buffer))
  const length = Number(first[0])
  if (length > maxHeader) throw broken(path, `not a safetensors file: header length ${length}`)
  if (8 + length > size) throw broken(path, `truncated: ${size} bytes, the header alone takes ${8 + length}`)
  const bytes = new Uint8Array(length)
  await readBytes(path, file, 8, bytes)
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
