import { exitCodes, UserError } from '../errors.js'
import { jsonlRows } from './jsonl.js'
import { idsPath, type NpyWriter, npyRows } from './npy.js'
import { closeAll, type Output, openOutput } from './output.js'
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
  /** Ids beside an .npy have a line for each row, not for each sequence. */
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
  /** Absent: one vector per sequence. */
  span?: RowSpan
}

/** The files that the embeddings of `-o output` are written to. */
export const embeddingPaths = (format: 'npy' | 'jsonl', output: string): string[] =>
  format === 'npy' && output !== '-' ? [output, idsPath(output)] : [output]

export function embeddingRows(
  format: 'npy' | 'jsonl',
  output: Output,
  options: EmbeddingOptions,
): Promise<EmbeddingWriter> {
  if (format === 'npy') return npyEmbeddings(output, options)
  return options.span ? jsonlOfRows(output, options.windows, options.span) : jsonlOfSequences(output, options.windows)
}

/** Columns that say which sequence it is, and their cells. */
const placeColumns = (windows: boolean) => (windows ? ['start', 'end'] : ['length'])
const place = (windows: boolean, { start, end }: Origin) => (windows ? [start, end] : [end - start])

/** `[rows, D]` float32, and `<output>.ids.tsv` with the place and the first row of each sequence, or of each row. */
async function npyEmbeddings(
  output: Output,
  { windows, span, force, resumed }: EmbeddingOptions,
): Promise<EmbeddingWriter> {
  if (output.patch === null) {
    const name = output.name === '-' ? 'standard output' : output.name
    await output.abort()
    throw new UserError(
      `${name}: .npy needs a plain file (-o FILE.npy); --format jsonl can be piped or compressed`,
      exitCodes.usage,
    )
  }
  const ids = await openOutput(idsPath(output.name), { force, resumed })
  const places = span?.listed ? new RowPlaces(span) : null
  const table = await tsvRows(ids, ['id', ...placeColumns(windows || places !== null), 'row', 'rows'])
  let npy: NpyWriter | null = null
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
      npy ??= await npyRows(output, width)
      if (places !== null) {
        for (const place of places.next(origin, values.length / width))
          await table.write([origin.record.id, ...place, row++, 1])
        return npy.write(values)
      }
      // A recording that broke off has no last rows: the next record ends it.
      if (open !== null && open.origin.record !== origin.record) await finish()
      open = { origin, first: open?.first ?? row }
      await npy.write(values)
      row += values.length / width
      if (origin.last) await finish()
    },
    async close() {
      await finish()
      npy ??= await npyRows(output, 0)
      await npy.end()
      await table.end()
      await closeAll(output, ids)
    },
    async abort() {
      await output.abort()
      await ids.abort()
    },
  }
}

/** One object per sequence: `{"id", "length" | "start" and "end", "embedding"}`. */
async function jsonlOfSequences(output: Output, windows: boolean): Promise<EmbeddingWriter> {
  const rows = await jsonlRows(output, ['id', ...placeColumns(windows), 'embedding'])
  return closing(output, (origin, values) => rows.write([origin.record.id, ...place(windows, origin), values]))
}

/**
 * One object per row: `{"id", "start", "end", "embedding"}` with what the row stands for in its record, and where it
 * begins, the `window`. Rows go out while their record is read: its length is not known yet.
 */
async function jsonlOfRows(output: Output, windows: boolean, span: RowSpan): Promise<EmbeddingWriter> {
  const rows = await jsonlRows(output, ['id', ...(windows ? ['window'] : []), 'start', 'end', 'embedding'])
  const places = new RowPlaces(span)
  return closing(output, async (origin, values, width) => {
    let at = 0
    for (const place of places.next(origin, values.length / width)) {
      const window = windows ? [origin.start] : []
      await rows.write([origin.record.id, ...window, ...place, values.subarray(at, at + width)])
      at += width
    }
  })
}

const closing = (output: Output, write: EmbeddingWriter['write']): EmbeddingWriter => ({
  write,
  async close() {
    await output.close()
  },
  abort: () => output.abort(),
})
