import { ByteWriter, ParquetWriter } from 'hyparquet-writer'
import type { Output } from './output.js'
import { type Cells, type RowWriter, significant, type Value } from './rows.js'

export interface Column {
  name: string
  /** 'floats': a list of float32. */
  type: 'string' | 'int64' | 'double' | 'floats'
}

type Schema = ConstructorParameters<typeof ParquetWriter>[0]['schema']

/** Numbers and letters in a row group, which is in memory several times over while it is encoded. */
const groupSize = 2 ** 17

/** Rows in Apache Parquet; no cell is null. Row groups go out when they are full: how rows come makes no difference to the bytes. */
export async function parquetRows(output: Output, columns: readonly Column[]): Promise<RowWriter> {
  const file = new ParquetWriter({
    writer: new Bytes(output),
    schema: schemaOf(columns),
    statistics: false,
    createdBy: 'longwave',
  })
  let rows: Cells[] = []
  let size = 0
  const writeGroup = async () => {
    const columnData = columns.map(({ name, type }, i) => ({
      name,
      data: rows.map((cells) => cellOf(type, cells[i])),
      // Vectors have nothing that Snappy or a dictionary would find twice.
      ...(type === 'floats' && ({ encoding: 'PLAIN', codec: 'UNCOMPRESSED' } as const)),
    }))
    const rowGroupSize = rows.length
    rows = []
    size = 0
    await file.write({ columnData, rowGroupSize, pageSize: 0 })
  }
  return {
    async write(cells) {
      rows.push(cells.map(kept))
      size += cells.reduce<number>((sum, cell) => sum + lengthOf(cell), 0)
      if (size >= groupSize) await writeGroup()
    },
    async end() {
      if (rows.length > 0) await writeGroup()
      await file.finish()
    },
  }
}

/** Bytes of one row group, or of the footer, on their way to the output. */
class Bytes extends ByteWriter {
  constructor(private readonly output: Output) {
    super()
  }

  async flush(): Promise<void> {
    await this.output.write(this.getBytes())
    this.index = 0
  }

  override finish(): Promise<void> {
    return this.flush()
  }
}

const schemaOf = (columns: readonly Column[]): Schema => [
  { name: 'schema', num_children: columns.length },
  ...columns.flatMap(({ name, type }): Schema => {
    const column = { name, repetition_type: 'REQUIRED' } as const
    switch (type) {
      case 'string':
        return [{ ...column, type: 'BYTE_ARRAY', converted_type: 'UTF8' }]
      case 'int64':
        return [{ ...column, type: 'INT64' }]
      case 'double':
        return [{ ...column, type: 'DOUBLE' }]
      case 'floats':
        return [
          { ...column, converted_type: 'LIST', num_children: 1 },
          { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
          { name: 'element', repetition_type: 'REQUIRED', type: 'FLOAT' },
        ]
      default:
        return type satisfies never
    }
  }),
]

/** Whoever wrote a list may use its memory again. The library takes arrays only. */
const kept = (value: Value): Value => (isList(value) ? Array.from(value) : value)

function cellOf(type: Column['type'], value: Value) {
  if (type === 'int64') return BigInt(value as number)
  return type === 'double' ? significant(value as number) : value
}

const lengthOf = (value: Value) => (typeof value === 'string' || isList(value) ? value.length : 1)
const isList = (value: Value): value is ArrayLike<number> =>
  typeof value === 'object' && value !== null && 'length' in value
