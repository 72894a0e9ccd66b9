import type { Output } from './output.js'
import type { RowWriter, Scalar } from './rows.js'

/** Lines under a header line, which comes with the first row, or in the end: an error before leaves no line. */
export async function lineRows(
  output: Output,
  columns: readonly string[],
  line: (fields: readonly Scalar[]) => string,
): Promise<RowWriter> {
  let header = line(columns)
  return {
    async write(cells) {
      const text = header + line(cells as readonly Scalar[])
      header = ''
      await output.write(text)
    },
    end: () => output.write(header),
  }
}
