/**
 * The cells of one row, in the order of the columns. Text that comes from a user (a label) is never a key of an object:
 * no label can take the place of a column, nor of a property that objects have by themselves.
 */
export type Cells = readonly Value[]
export type Scalar = string | number | null
/** Lists (an embedding) and maps (label to probability) are for the JSON formats only. */
export type Value = Scalar | ArrayLike<number> | ReadonlyMap<string, Scalar>

/** A format on top of an output. `end` completes the text; the output stays open for its owner to close. */
export interface RowWriter<Row = Cells> {
  write(row: Row): Promise<void>
  end(): Promise<void>
}

/**
 * A float for people and parsers: 6 significant digits, no trailing zeros, as C's %g (9 digits give every float32 back
 * exactly). Whole numbers, such as lengths and positions, are never rounded, and seconds of an hour keep their
 * thousandths.
 */
export function significant(x: number, digits = 6): number {
  if (Number.isInteger(x)) return x
  return Number(Math.abs(x) < 1000 ? x.toPrecision(digits) : x.toFixed(digits - 3))
}
