import type { Output } from './output.js'
import { type Cells, type RowWriter, type Scalar, significant, type Value } from './rows.js'

/** One JSON object per line, with the columns as its keys. */
export async function jsonlRows(output: Output, columns: readonly string[]): Promise<RowWriter> {
  return { write: (cells) => output.write(`${jsonObject(columns, cells)}\n`), end: async () => {} }
}

/**
 * Floats keep 6 significant digits; those in lists are float32 and keep 9, so that reading them gives the same float32.
 */
export const jsonObject = (columns: readonly string[], cells: Cells): string =>
  `{${columns.map((column, i) => `${JSON.stringify(column)}:${jsonValue(cells[i])}`).join(',')}}`

function jsonValue(value: Value): string {
  if (value instanceof Map) return jsonMap(value)
  if (typeof value === 'object' && value !== null)
    return `[${Array.from(value as ArrayLike<number>, (x) => JSON.stringify(significant(x, 9))).join(',')}]`
  return JSON.stringify(typeof value === 'number' ? significant(value) : value)
}

/** In the order of the map: an object of JavaScript would put keys such as "7" first. */
const jsonMap = (map: ReadonlyMap<string, Scalar>): string =>
  `{${Array.from(map, ([key, value]) => `${JSON.stringify(key)}:${jsonValue(value)}`).join(',')}}`
