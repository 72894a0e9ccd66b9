import { jsonObject } from './jsonl.js'
import type { Output } from './output.js'
import type { RowWriter } from './rows.js'

/** One JSON array of objects, one object per line, written as it comes. */
export async function jsonRows(output: Output): Promise<RowWriter> {
  let before = '[\n'
  return {
    async write(row) {
      const text = before + jsonObject(row)
      before = ',\n'
      await output.write(text)
    },
    end: () => output.write(before === '[\n' ? '[]\n' : '\n]\n'),
  }
}
