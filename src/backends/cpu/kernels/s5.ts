// S5: a linear recurrence of complex modes that all channels share, one segment per call, rows in reading order.
// Numbers are real and imaginary part in turn; `width` of them to a row, and `padded` of them, a multiple of 4, to a row of the scratch.
// `modes` holds four rows: w re (twice for each mode), w im (negated for the real part), and the same of held. With x turned
// around, (im, re), the product w x is w re * x + w im * turned.
import { madd } from './math'

// @ts-ignore: decorator
@inline
function turned(x: v128): v128 {
  return v128.shuffle<f32>(x, x, 1, 0, 3, 2)
}

/** Two modes, or the last one alone. */
// @ts-ignore: decorator
@inline
function loadModes(at: usize, i: i32, width: i32): v128 {
  return i + 2 < width ? v128.load(at + (i << 2)) : v128.load64_zero(at + (i << 2))
}

// @ts-ignore: decorator
@inline
function storeModes(at: usize, i: i32, width: i32, x: v128): void {
  if (i + 2 < width) v128.store(at + (i << 2), x)
  else v128.store64_lane(at + (i << 2), x, 0)
}

/** x = w x + held u of two modes. */
// @ts-ignore: decorator
@inline
function step(modes: usize, row: i32, x: v128, u: v128): v128 {
  const kept = madd(v128.load(modes), x, f32x4.mul(v128.load(modes + row), turned(x)))
  return madd(v128.load(modes + 2 * row), u, madd(v128.load(modes + 3 * row), turned(u), kept))
}

/** The states after each row, [rows, width], and the last one in `state` [padded]. */
export function s5Rows(
  rows: i32, width: i32, padded: i32, u: usize, uStep: i32, modes: usize, state: usize, out: usize, outStep: i32,
): void {
  for (let t = 0; t < rows; t++, u += uStep, out += outStep)
    for (let i: i32 = 0; i < width; i += 4) {
      const x = step(modes + (i << 2), padded << 2, v128.load(state + (i << 2)), loadModes(u, i, width))
      v128.store(state + (i << 2), x)
      storeModes(out, i, width, x)
    }
}

/**
 * Adds to du, and to `sums`, four rows [padded]: dx x and dx turned x, of the states before each row; dx u and dx turned u, of its input.
 * x: the states after each row, as s5Rows leaves them; adjoint [padded] begins with zeros. du may be 0.
 */
export function s5Grad(
  rows: i32, width: i32, padded: i32, u: usize, uStep: i32, x: usize, xStep: i32, dy: usize, dyStep: i32, modes: usize,
  du: usize, duStep: i32, sums: usize, adjoint: usize,
): void {
  const row = padded << 2
  for (let t = rows - 1; t >= 0; t--)
    for (let i: i32 = 0; i < width; i += 4) {
      const p = modes + (i << 2), into = sums + (i << 2), at = adjoint + (i << 2)
      const after = v128.load(at)
      const through = f32x4.sub(f32x4.mul(v128.load(p), after), f32x4.mul(v128.load(p + row), turned(after)))
      const dx = f32x4.add(loadModes(dy + t * dyStep, i, width), through)
      v128.store(at, dx)
      if (t > 0) {
        const before = loadModes(x + (t - 1) * xStep, i, width)
        v128.store(into, madd(dx, before, v128.load(into)))
        v128.store(into + row, madd(dx, turned(before), v128.load(into + row)))
      }
      const now = loadModes(u + t * uStep, i, width)
      v128.store(into + 2 * row, madd(dx, now, v128.load(into + 2 * row)))
      v128.store(into + 3 * row, madd(dx, turned(now), v128.load(into + 3 * row)))
      if (du) {
        const to = du + t * duStep
        const ofU = f32x4.sub(f32x4.mul(v128.load(p + 2 * row), dx), f32x4.mul(v128.load(p + 3 * row), turned(dx)))
        storeModes(to, i, width, f32x4.add(loadModes(to, i, width), ofU))
      }
    }
}
