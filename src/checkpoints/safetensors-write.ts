import { openSink } from '../output/sink.js'

export interface StoredTensor {
  name: string
  dtype: 'F32' | 'F16' | 'BF16' | 'I64' | 'I32'
  shape: number[]
  /** The values in the file's byte order (little-endian), as many as the shape says. */
  data: ArrayBufferView
}

/** Writes a safetensors file; it appears whole, by rename. Same tensors, same bytes. Errors: 73, 74. */
export async function writeSafetensors(
  path: string,
  tensors: readonly StoredTensor[],
  metadata: Record<string, string> = { format: 'pt' },
  replace = true,
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
  await writeWhole(path, [length, padded, ...tensors.map(({ data }) => data)], replace)
}

/** Writes a file that appears whole, by rename; without `replace` an existing one is kept (73). Errors: 73, 74. */
export async function writeWhole(path: string, pieces: readonly ArrayBufferView[], replace = true): Promise<void> {
  const sink = await openSink(path, { force: replace })
  try {
    for (const { buffer, byteOffset, byteLength } of pieces)
      await sink.write(new Uint8Array(buffer, byteOffset, byteLength))
    await sink.finish()
    await sink.publish()
  } catch (error) {
    await sink.abort()
    throw error
  }
}
