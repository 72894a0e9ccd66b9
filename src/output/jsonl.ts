import type { Output } from './output.js'
import { type Row, type RowWriter, significant, type Value } from './rows.js'

/** One JSON object per line. */
export async function jsonlRows(output: Output): Promise<RowWriter> {
  return { write: (row) => output.write(`${jsonObject(row)}\n`), end: async () => {} }
}

/** Floats keep 6 significant digits; those in lists are float32 and keep 9, so that reading them gives the same float32. */
export const jsonObject = (row: Row): string =>
  `{${Object.entries(row)
    .map(([key, value]) => `${JSON.stringify(key)}:${jsonValue(value)}`)
    .join(',')}}`

function jsonValue(value: Value): string {
  if (typeof value === 'number') return JSON.stringify(significant(value))
  if (value === null || typeof value === 'string') return JSON.stringify(value)
  if (isList(value)) return `[${Array.from(value, (x) => JSON.stringify(significant(x, 9))).join(',')}]`
  return jsonObject(value)
}

const isList = (value: ArrayLike<number> | Row): value is ArrayLike<number> =>
  Array.isArray(value) || ArrayBuffer.isView(value)
