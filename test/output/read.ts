import { type AsyncBuffer, asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet'

/** By a library for reading. */
export async function parquetFile(path: string) {
  const file: AsyncBuffer = await asyncBufferFromFile(path)
  return { file, metadata: await parquetMetadataAsync(file) }
}

/** The rows of a Parquet file; whole numbers as JavaScript has them. */
export async function readParquet(path: string): Promise<Record<string, unknown>[]> {
  const rows = await parquetReadObjects(await parquetFile(path))
  const plain = (value: unknown) => (typeof value === 'bigint' ? Number(value) : value)
  return rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plain(value)])))
}

/** The format as its specification describes it, read by hand. */
export function readSafetensors(bytes: Buffer): Record<string, { shape: number[]; values: Float32Array }> {
  const begin = 8 + Number(bytes.readBigUInt64LE(0))
  const tensors = Object.entries<{ dtype: string; shape: number[]; data_offsets: [number, number] }>(
    JSON.parse(bytes.toString('utf8', 8, begin)),
  )
  let end = 0
  const read = tensors.map(([name, { dtype, shape, data_offsets }]) => {
    if (dtype !== 'F32' || data_offsets[0] !== end) throw new Error(`${name}: ${dtype} from ${data_offsets[0]} on`)
    end = data_offsets[1]
    const data = bytes.subarray(begin + data_offsets[0], begin + end)
    return [name, { shape, values: new Float32Array(Uint8Array.from(data).buffer) }]
  })
  if (begin + end !== bytes.length) throw new Error(`${bytes.length - begin - end} bytes belong to no tensor`)
  return Object.fromEntries(read)
}
