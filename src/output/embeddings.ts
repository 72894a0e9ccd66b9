import { jsonlRows } from './jsonl.js'
import { type MatrixWriter, matrixRows, npy, safetensors } from './matrix.js'
import { closeAll, type Output, openOutput } from './output.js'
import { plainFile } from './plain-file.js'
import type { RowWriter } from './rows.js'
import type { OutputOptions } from './sink.js'
import { tsvRows } from './tsv.js'

/** Whose vectors these are. */
export interface Origin {
  /** The record itself: two records may have one id. */
  record: { readonly id: string }
  /**
   * The sequence in its record: 0-based, half-open, in bases or seconds. Of one that goes on, `end` is how far it was
   * read.
   */
  start: number
  end: number
  /** The sequence ends with these vectors. */
  last: boolean
}

/** Vectors of one sequence after the other. */
export interface EmbeddingWriter {
  /** values [rows, width]: one vector per sequence, or all rows of it, in one call or several. */
  write(origin: Origin, values: Float32Array, width: number): Promise<void>
  close(): Promise<void>
  abort(): Promise<void>
}

/** What one row stands for, where a sequence has several. */
export interface RowSpan {
  /** Bases, or seconds. */
  size: number
  /** The other strand was read: the first row is the end of the sequence. */
  backwards: boolean
  /** Ids beside a matrix have a line for each row, not for each sequence. */
  listed?: boolean
}

/** Where the rows of one sequence after the other lie. */
class RowPlaces {
  private record: Origin['record'] | null = null
  private row = 0

  constructor(private readonly span: RowSpan) {}

  /** The next `count` rows of a sequence. */
  *next({ record, start, end, last }: Origin, count: number): Generator<[start: number, end: number]> {
    const { size, backwards } = this.span
    if (record !== this.record) this.row = 0
    this.record = last ? null : record
    for (const after = this.row + count; this.row < after; this.row++) {
      const [near, far] = [this.row, this.row + 1].map((edge) => Math.min(edge * size, end - start))
      yield backwards ? [end - far, end - near] : [start + near, start + far]
    }
  }
}

export interface EmbeddingOptions extends OutputOptions {
  windows: boolean
  /** Places are seconds, not counts. */
  seconds: boolean
  /** Absent: one vector per sequence. */
  span?: RowSpan
}

export type EmbeddingFormat = keyof typeof matrixFormats | 'parquet' | 'jsonl'

/** Those that hold nothing but numbers: ids lie beside them. */
const matrixFormats = { npy, safetensors }
const isMatrix = (format: EmbeddingFormat) => format in matrixFormats

/** Where the ids of the rows of a matrix go. */
const idsPath = (path: string) => `${path}.ids.tsv`

/** The files that the embeddings of `-o output` are written to. */
export const embeddingPaths = (format: EmbeddingFormat, output: string): string[] =>
  isMatrix(format) && output !== '-' ? [output, idsPath(output)] : [output]

/** Bytes of memory that a run must leave to the writer: measured; JavaScript's arrays of a row group, and garbage (docs/decisions.md). */
export const writerBytes = (format: EmbeddingFormat) => (format === 'parquet' ? 192 * 2 ** 20 : 0)

export async function embeddingRows(
  format: EmbeddingFormat,
  output: Output,
  options: EmbeddingOptions,
): Promise<EmbeddingWriter> {
  if (format === 'npy' || format === 'safetensors') return matrixEmbeddings(format, output, options)
  const { windows, span, seconds } = options
  const openTable = format === 'jsonl' ? jsonlRows : parquetTable(seconds)
  return span ? rowsOf(openTable, output, windows, span) : sequencesOf(openTable, output, windows)
}

/** Columns that say which sequence it is, and their cells. */
const placeColumns = (windows: boolean) => (windows ? ['start', 'end'] : ['length'])
const place = (windows: boolean, { start, end }: Origin) => (windows ? [start, end] : [end - start])

/** `[rows, D]` float32, and `<output>.ids.tsv` with the place and the first row of each sequence, or of each row. */
async function matrixEmbeddings(
  format: keyof typeof matrixFormats,
  opened: Output,
  { windows, span, force, resumed }: EmbeddingOptions,
): Promise<EmbeddingWriter> {
  const output = await plainFile(opened, format)
  const ids = await openOutput(idsPath(output.name), { force, resumed })
  const places = span?.listed ? new RowPlaces(span) : null
  const table = await tsvRows(ids, ['id', ...placeColumns(windows || places !== null), 'row', 'rows'])
  let matrix: MatrixWriter | null = null
  let row = 0
  let open: { origin: Origin; first: number } | null = null
  const finish = async () => {
    if (open === null) return
    const { origin, first } = open
    open = null
    await table.write([origin.record.id, ...place(windows, origin), first, row - first])
  }
  return {
    async write(origin, values, width) {
      matrix ??= await matrixRows(output, matrixFormats[format], width)
      if (places !== null) {
        for (const place of places.next(origin, values.length / width))
          await table.write([origin.record.id, ...place, row++, 1])
        return matrix.write(values)
      }
      // A recording that broke off has no last rows: the next record ends it.
      if (open !== null && open.origin.record !== origin.record) await finish()
      open = { origin, first: open?.first ?? row }
      await matrix.write(values)
      row += values.length / width
      if (origin.last) await finish()
    },
    async close() {
      await finish()
      matrix ??= await matrixRows(output, matrixFormats[format], 0)
      await matrix.end()
      await table.end()
      await closeAll(output, ids)
    },
    async abort() {
      await output.abort()
      await ids.abort()
    },
  }
}

/** A format whose rows hold an id, a place and a list. */
type OpenTable = (output: Output, columns: readonly string[]) => Promise<RowWriter>

const parquetTable =
  (seconds: boolean): OpenTable =>
  async (opened, columns) => {
    const output = await plainFile(opened, 'parquet')
    const { parquetRows } = await import('./parquet.js')
    const place = seconds ? 'double' : 'int64'
    const types = { id: 'string', embedding: 'floats' } as const
    return parquetRows(
      output,
      columns.map((name) => ({ name, type: name === 'id' || name === 'embedding' ? types[name] : place })),
    )
  }

/** One row per sequence: `id`, `length` or `start` and `end`, `embedding`. */
async function sequencesOf(openTable: OpenTable, output: Output, windows: boolean): Promise<EmbeddingWriter> {
  const rows = await openTable(output, ['id', ...placeColumns(windows), 'embedding'])
  return closing(output, rows, (origin, values) => rows.write([origin.record.id, ...place(windows, origin), values]))
}

/**
 * One row per token row: `id`, `start`, `end`, `embedding` with what it stands for in its record, and where it begins, the `window`.
 * Rows go out while their record is read: its length is not known yet.
 */
async function rowsOf(openTable: OpenTable, output: Output, windows: boolean, span: RowSpan): Promise<EmbeddingWriter> {
  const rows = await openTable(output, ['id', ...(windows ? ['window'] : []), 'start', 'end', 'embedding'])
  const places = new RowPlaces(span)
  return closing(output, rows, async (origin, values, width) => {
    let at = 0
    for (const place of places.next(origin, values.length / width)) {
      const window = windows ? [origin.start] : []
      await rows.write([origin.record.id, ...window, ...place, values.subarray(at, at + width)])
      at += width
    }
  })
}

const closing = (output: Output, rows: RowWriter, write: EmbeddingWriter['write']): EmbeddingWriter => ({
  write,
  async close() {
    await rows.end()
    await output.close()
  },
  abort: () => output.abort(),
})
