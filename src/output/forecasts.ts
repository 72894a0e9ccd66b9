import { csvRows } from './csv.js'
import { openRows } from './formats.js'
import type { Output } from './output.js'
import type { RowWriter } from './rows.js'

export const forecastFormats = ['csv', 'tsv', 'jsonl', 'json'] as const
export type ForecastFormat = (typeof forecastFormats)[number]

/** What is expected of one series at one step. */
export interface Forecast {
  series: string
  /** As the table writes times, or the number of the step behind it, from 1. */
  time: string
  mean: number
  /** In the order of the levels. */
  quantiles: ArrayLike<number>
}

/** One row for each step of each series: its mean and its quantiles (`q0.1`). */
export async function forecastRows(
  format: ForecastFormat,
  output: Output,
  levels: readonly number[],
): Promise<RowWriter<Forecast>> {
  const columns = ['series', 'time', 'mean', ...levels.map((level) => `q${level}`)]
  const table = await (format === 'csv' ? csvRows(output, columns) : openRows(format, output, columns))
  return {
    write: ({ series, time, mean, quantiles }) => table.write([series, time, mean, ...Array.from(quantiles)]),
    end: () => table.end(),
  }
}
