import { openRows, type TableFormat } from './formats.js'
import type { Output } from './output.js'
import type { RowWriter } from './rows.js'

/** How likely a model takes a record, or a window of it, to be. */
export interface Score {
  record: { id: string }
  start: number
  end: number
  /** Those that were predicted: all but the first of a strand, and N. */
  bases: number
  /** Nats: the sum of the logarithms of their probabilities; of both strands the mean. */
  logLikelihood: number
  /** 2 is a guess; null: no base was predicted. */
  bitsPerBase: number | null
}

/** One row for each score; the perplexity is 2 to the power of the bits. */
export async function scoreRows(format: TableFormat, output: Output, windows: boolean): Promise<RowWriter<Score>> {
  const place = windows ? ['id', 'start', 'end'] : ['id', 'length']
  const table = await openRows(format, output, [...place, 'bases', 'log_likelihood', 'bits_per_base', 'perplexity'])
  return {
    write({ record, start, end, bases, logLikelihood, bitsPerBase }) {
      const cells = windows ? [record.id, start, end] : [record.id, end - start]
      return table.write([...cells, bases, logLikelihood, bitsPerBase, bitsPerBase === null ? null : 2 ** bitsPerBase])
    },
    end: () => table.end(),
  }
}
