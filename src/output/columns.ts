import { printable } from '../text/printable.js'

/**
 * A table for people: columns padded to their widest cell, numbers to the right, no trailing blanks. What a model of a
 * stranger says of itself must not steer the terminal: control characters become `?`.
 */
export function columns(table: readonly (readonly (string | number)[])[]): string {
  const rows = table.map((row) => row.map((cell) => (typeof cell === 'number' ? cell : printable(cell))))
  const widths: number[] = []
  for (const row of rows)
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, String(cell).length)
    })
  const pad = (cell: string | number, i: number) =>
    typeof cell === 'number' ? String(cell).padStart(widths[i]) : cell.padEnd(widths[i])
  return rows.map((row) => `${row.map(pad).join('  ').trimEnd()}\n`).join('')
}
