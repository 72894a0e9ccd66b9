// Element by element on rows.
import { load1, silu, store1 } from './math'

// @ts-ignore: decorator
@inline
function combine(a: v128, b: v128, how: i32): v128 {
  if (how == 0) return f32x4.add(a, b)
  if (how == 1) return f32x4.mul(a, b)
  return f32x4.mul(a, silu(b))
}

/** how: 0 a + b, 1 a b, 2 a silu(b). A step of 0 repeats a row (a bias). y may be a or b. */
export function combineRows(rows: i32, cols: i32, a: usize, aStep: i32, b: usize, bStep: i32, how: i32, y: usize, yStep: i32): void {
  const width = cols << 2
  const full = width & -16
  for (let t = 0; t < rows; t++, a += aStep, b += bStep, y += yStep) {
    let e: i32 = 0
    for (; e < full; e += 16) v128.store(y + e, combine(v128.load(a + e), v128.load(b + e), how))
    for (; e < width; e += 4) store1(y + e, combine(load1(a + e), load1(b + e), how))
  }
}

/** y = silu(x); y may be x. */
export function siluRows(rows: i32, cols: i32, x: usize, xStep: i32, y: usize, yStep: i32): void {
  const width = cols << 2
  const full = width & -16
  for (let t = 0; t < rows; t++, x += xStep, y += yStep) {
    let e: i32 = 0
    for (; e < full; e += 16) v128.store(y + e, silu(v128.load(x + e)))
    for (; e < width; e += 4) store1(y + e, silu(load1(x + e)))
  }
}
