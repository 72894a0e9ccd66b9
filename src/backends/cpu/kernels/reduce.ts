// Sum and maximum down the rows, in float64, row after row, so that no cut changes a bit.

/** into [cols] float64 += every row. */
export function sumRows(rows: i32, cols: i32, x: usize, xStep: i32, into: usize): void {
  for (let t = 0; t < rows; t++, x += xStep) {
    let e: i32 = 0
    for (; e + 2 <= cols; e += 2) {
      const at = into + (e << 3)
      v128.store(at, f64x2.add(v128.load(at), f64x2.promote_low_f32x4(v128.load64_zero(x + (e << 2)))))
    }
    if (e < cols) store<f64>(into + (e << 3), load<f64>(into + (e << 3)) + <f64>load<f32>(x + (e << 2)))
  }
}

/** into [cols] float64 = maximum of itself and every row; a NaN stays. */
export function maxRows(rows: i32, cols: i32, x: usize, xStep: i32, into: usize): void {
  for (let t = 0; t < rows; t++, x += xStep) {
    let e: i32 = 0
    for (; e + 2 <= cols; e += 2) {
      const at = into + (e << 3)
      v128.store(at, f64x2.max(v128.load(at), f64x2.promote_low_f32x4(v128.load64_zero(x + (e << 2)))))
    }
    if (e < cols) store<f64>(into + (e << 3), max<f64>(load<f64>(into + (e << 3)), <f64>load<f32>(x + (e << 2))))
  }
}
