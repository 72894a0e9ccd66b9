import { exitCodes, UserError } from '../shell/errors.js'
import { jsonlRows } from './jsonl.js'
import { idsPath, type NpyWriter, npyRows } from './npy.js'
import { closeAll, type Output, openOutput } from './output.js'
import type { Row } from './rows.js'
import { tsvRows } from './tsv.js'

/** Whose vector it is. */
export interface Origin {
  /** The record itself: another one may have the same id. */
  record: { id: string }
  /** 0-based, half-open, in bases. */
  start: number
  end: number
}

/** Vectors of one sequence after the other. */
export interface EmbeddingWriter {
  /** values [rows, width]: one vector per sequence, or several rows of it. */
  write(origin: Origin, values: Float32Array, width: number): Promise<void>
  close(): Promise<void>
  abort(): Promise<void>
}

export interface EmbeddingOptions {
  windows: boolean
  force?: boolean
}

/** The files that the embeddings of `-o output` are written to. */
export const embeddingPaths = (format: 'npy' | 'jsonl', output: string): string[] =>
  format === 'npy' && output !== '-' ? [output, idsPath(output)] : [output]

export function embeddingRows(
  format: 'npy' | 'jsonl',
  output: Output,
  options: EmbeddingOptions,
): Promise<EmbeddingWriter> {
  return format === 'npy' ? npyEmbeddings(output, options) : jsonlEmbeddings(output, options)
}

/** `[rows, D]` float32, and `<output>.ids.tsv` with the place and the first row of each sequence. */
async function npyEmbeddings(output: Output, { windows, force }: EmbeddingOptions): Promise<EmbeddingWriter> {
  if (output.patch === null) {
    const name = output.name === '-' ? 'standard output' : output.name
    await output.abort()
    throw new UserError(
      `${name}: .npy needs a plain file (-o FILE.npy); --format jsonl can be piped or compressed`,
      exitCodes.usage,
    )
  }
  const ids = await openOutput(idsPath(output.name), { force })
  const table = await tsvRows(ids, ['id', ...(windows ? ['start', 'end'] : ['length']), 'row', 'rows'])
  let npy: NpyWriter | null = null
  let row = 0
  let open: { origin: Origin; first: number } | null = null
  const finish = async () => {
    if (open === null) return
    const { record, start, end } = open.origin
    const place: Row = windows ? { start, end } : { length: end - start }
    await table.write({ id: record.id, ...place, row: open.first, rows: row - open.first })
    open = null
  }
  return {
    async write(origin, values, width) {
      npy ??= await npyRows(output, width)
      // Rows of a streamed sequence come in several writes, each with the end that is known so far.
      const goesOn = open !== null && open.origin.record === origin.record && open.origin.start === origin.start
      if (!goesOn) await finish()
      open = { origin, first: goesOn && open ? open.first : row }
      await npy.write(values)
      row += values.length / width
    },
    async close() {
      await finish()
      npy ??= await npyRows(output, 0)
      await npy.end()
      await closeAll(output, ids)
    },
    async abort() {
      await output.abort()
      await ids.abort()
    },
  }
}

/** One object per vector: `{"id", "length" | "start" and "end", "embedding"}`. */
async function jsonlEmbeddings(output: Output, { windows }: EmbeddingOptions): Promise<EmbeddingWriter> {
  const rows = await jsonlRows(output)
  return {
    async write({ record, start, end }, values, width) {
      const place: Row = windows ? { start, end } : { length: end - start }
      for (let at = 0; at < values.length; at += width) {
        await rows.write({ id: record.id, ...place, embedding: values.subarray(at, at + width) })
      }
    },
    async close() {
      await rows.end()
      await output.close()
    },
    abort: () => output.abort(),
  }
}
