import { jsonObject } from './jsonl.js'
import type { Output } from './output.js'
import type { RowWriter } from './rows.js'

/** One JSON array of objects, one object per line, written as it comes. */
export async function jsonRows(output: Output, columns: readonly string[]): Promise<RowWriter> {
  let before = '[\n'
  return {
    async write(cells) {
      const text = before + jsonObject(columns, cells)
      before = ',\n'
      await output.write(text)
    },
    end: () => output.write(before === '[\n' ? '[]\n' : '\n]\n'),
  }
}
