import { openRows, type TableFormat } from './formats.js'
import type { Output } from './output.js'
import type { RowWriter } from './rows.js'

/** How likely a model takes a record, or a window of it, to be. */
export interface Score {
  record: { id: string }
  start: number
  end: number
  /** Those that were predicted: of DNA without N. */
  tokens: number
  /** Nats: the sum of the logarithms of their probabilities; of both strands the mean. */
  logLikelihood: number
  /** For each of them; of DNA 2 is a guess. null: there were none. */
  bits: number | null
}

/** One row for each score; the perplexity is 2 to the power of the bits. */
export async function scoreRows(
  format: TableFormat,
  output: Output,
  unit: 'base' | 'token',
  windows: boolean,
): Promise<RowWriter<Score>> {
  const place = windows ? ['id', 'start', 'end'] : ['id', 'length']
  const numbers = [`${unit}s`, 'log_likelihood', `bits_per_${unit}`, 'perplexity']
  const table = await openRows(format, output, [...place, ...numbers])
  return {
    write({ record, start, end, tokens, logLikelihood, bits }) {
      const cells = windows ? [record.id, start, end] : [record.id, end - start]
      return table.write([...cells, tokens, logLikelihood, bits, bits === null ? null : 2 ** bits])
    },
    end: () => table.end(),
  }
}
