// Element by element on rows. Four vectors a turn: the constants of silu cost as much to set up as one vector of it.
import { decay, gelu, load1, selu, sigmoid, silu, store1 } from './math'

// @ts-ignore: decorator
@inline
function combine(a: v128, b: v128, how: i32): v128 {
  if (how == 0) return f32x4.add(a, b)
  if (how == 3) return f32x4.mul(a, sigmoid(b))
  return f32x4.mul(a, b)
}

/** how: 0 a + b, 1 a b, 2 a silu(b), 3 a sigmoid(b). A step of 0 repeats a row (a bias). y may be a or b. */
export function combineRows(rows: i32, cols: i32, a: usize, aStep: i32, b: usize, bStep: i32, how: i32, y: usize, yStep: i32): void {
  const width = cols << 2
  const full = width & -16
  for (let t = 0; t < rows; t++, a += aStep, b += bStep, y += yStep) {
    if (how == 2) {
      gateRow(width, a, b, y)
      continue
    }
    let e: i32 = 0
    for (; e < full; e += 16) v128.store(y + e, combine(v128.load(a + e), v128.load(b + e), how))
    for (; e < width; e += 4) store1(y + e, combine(load1(a + e), load1(b + e), how))
  }
}

/** y = silu(x); y may be x. */
export function siluRows(rows: i32, cols: i32, x: usize, xStep: i32, y: usize, yStep: i32): void {
  for (let t = 0; t < rows; t++, x += xStep, y += yStep) siluRow(cols << 2, x, y)
}

/** y = gelu(x); y may be x. */
export function geluRows(rows: i32, cols: i32, x: usize, xStep: i32, y: usize, yStep: i32): void {
  const width = cols << 2
  const full = width & -16
  for (let t = 0; t < rows; t++, x += xStep, y += yStep) {
    let e: i32 = 0
    for (; e < full; e += 16) v128.store(y + e, gelu(v128.load(x + e)))
    for (; e < width; e += 4) store1(y + e, gelu(load1(x + e)))
  }
}

/** y = selu(x); y may be x. */
export function seluRows(rows: i32, cols: i32, x: usize, xStep: i32, y: usize, yStep: i32): void {
  const width = cols << 2
  const full = width & -16
  for (let t = 0; t < rows; t++, x += xStep, y += yStep) {
    let e: i32 = 0
    for (; e < full; e += 16) v128.store(y + e, selu(v128.load(x + e)))
    for (; e < width; e += 4) store1(y + e, selu(load1(x + e)))
  }
}

/** y = silu(x), `width` bytes. */
export function siluRow(width: i32, x: usize, y: usize): void {
  const end = x + width
  for (; x + 64 <= end; x += 64, y += 64) {
    v128.store(y, silu(v128.load(x)))
    v128.store(y, silu(v128.load(x, 16)), 16)
    v128.store(y, silu(v128.load(x, 32)), 32)
    v128.store(y, silu(v128.load(x, 48)), 48)
  }
  for (; x + 16 <= end; x += 16, y += 16) v128.store(y, silu(v128.load(x)))
  for (; x < end; x += 4, y += 4) store1(y, silu(load1(x)))
}

/** y = a silu(z), `width` bytes. */
export function gateRow(width: i32, a: usize, z: usize, y: usize): void {
  const end = z + width
  for (; z + 64 <= end; z += 64, a += 64, y += 64) {
    v128.store(y, f32x4.mul(v128.load(a), silu(v128.load(z))))
    v128.store(y, f32x4.mul(v128.load(a, 16), silu(v128.load(z, 16))), 16)
    v128.store(y, f32x4.mul(v128.load(a, 32), silu(v128.load(z, 32))), 32)
    v128.store(y, f32x4.mul(v128.load(a, 48), silu(v128.load(z, 48))), 48)
  }
  for (; z + 16 <= end; z += 16, a += 16, y += 16) v128.store(y, f32x4.mul(v128.load(a), silu(v128.load(z))))
  for (; z < end; z += 4, a += 4, y += 4) store1(y, f32x4.mul(load1(a), silu(load1(z))))
}

/** y = 2^x for x <= 128, `width` bytes, a multiple of 64: what a scan does most, and nothing else (`bench scan`). */
export function powers(width: i32, x: usize, y: usize): void {
  const end = x + width
  for (; x < end; x += 64, y += 64) {
    v128.store(y, decay(v128.load(x)))
    v128.store(y, decay(v128.load(x, 16)), 16)
    v128.store(y, decay(v128.load(x, 32)), 32)
    v128.store(y, decay(v128.load(x, 48)), 48)
  }
}

/** y = factor x, added to y where `add` is 1; y may be x. */
export function scaleRows(rows: i32, cols: i32, factor: f32, x: usize, xStep: i32, add: i32, y: usize, yStep: i32): void {
  const by = f32x4.splat(factor)
  const width = cols << 2
  const full = width & -16
  for (let t = 0; t < rows; t++, x += xStep, y += yStep) {
    let e: i32 = 0
    for (; e < full; e += 16) {
      const scaled = f32x4.mul(by, v128.load(x + e))
      v128.store(y + e, add ? f32x4.add(v128.load(y + e), scaled) : scaled)
    }
    for (; e < width; e += 4) {
      const scaled = f32x4.mul(by, load1(x + e))
      store1(y + e, add ? f32x4.add(load1(y + e), scaled) : scaled)
    }
  }
}
