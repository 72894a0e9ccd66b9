import { open, rename, rm } from 'node:fs/promises'
import { exitCodes, UserError } from '../shell/errors.js'

export interface StoredTensor {
  name: string
  dtype: 'F32' | 'F16' | 'BF16' | 'I64' | 'I32'
  shape: number[]
  /** The values in the file's byte order (little-endian), as many as the shape says. */
  data: ArrayBufferView
}

/**
 * Writes a safetensors file; it appears whole, by rename. Same tensors, same bytes.
 * Errors: 73 when it cannot be written.
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly StoredTensor[],
  metadata: Record<string, string> = { format: 'pt' },
): Promise<void> {
  let at = 0
  const header: Record<string, unknown> = { __metadata__: metadata }
  for (const { name, dtype, shape, data } of tensors) {
    header[name] = { dtype, shape, data_offsets: [at, at + data.byteLength] }
    at += data.byteLength
  }
  const json = Buffer.from(JSON.stringify(header))
  const padded = Buffer.alloc(Math.ceil(json.length / 8) * 8, ' ')
  json.copy(padded)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(padded.length))
  await writeWhole(path, [length, padded, ...tensors.map(({ data }) => data)])
}

/** Writes `pieces` beside `path`, flushes, and renames. Errors: 73. */
export async function writeWhole(path: string, pieces: readonly ArrayBufferView[]): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`
  try {
    const file = await open(temporary, 'w')
    try {
      for (const { buffer, byteOffset, byteLength } of pieces) {
        await file.writeFile(new Uint8Array(buffer, byteOffset, byteLength))
      }
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw new UserError(`cannot write ${path}: ${(error as Error).message}`, exitCodes.cannotCreate)
  }
}
