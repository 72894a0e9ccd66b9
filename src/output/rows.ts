/** Columns of one row, in order. Lists (an embedding) and nested objects are for the JSON formats only. */
export interface Row {
  [column: string]: Value
}
export type Scalar = string | number | null
export type Value = Scalar | ArrayLike<number> | Row

/** A table format on top of an output. `end` completes the text; the output stays open for its owner to close. */
export interface RowWriter {
  write(row: Row): Promise<void>
  end(): Promise<void>
}

/**
 * A float for people and parsers: 6 significant digits, no trailing zeros, as C's %g (9 digits give every float32 back
 * exactly). Whole numbers, such as lengths and positions, are never rounded, and seconds of an hour keep their thousandths.
 */
export function significant(x: number, digits = 6): number {
  if (Number.isInteger(x)) return x
  return Number(Math.abs(x) < 1000 ? x.toPrecision(digits) : x.toFixed(digits - 3))
}
