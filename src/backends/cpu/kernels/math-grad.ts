// What the gradients need besides math.ts: slopes, and the last, partial vector of a row.
import { decay, exp, madd, normalCdf, sigmoid } from './math'

export { decay, exp, expOfMinusAbs, load1, madd, sigmoid, silu, softplus, softplusOf, sum4 } from './math'

/** s(x) (1 + x (1 - s(x))), s the sigmoid. */
// @ts-ignore: decorator
@inline
export function siluSlope(x: v128): v128 {
  return siluSlopeOf(x, sigmoid(x))
}

/** The same where s is known. */
// @ts-ignore: decorator
@inline
export function siluSlopeOf(x: v128, s: v128): v128 {
  const one = f32x4.splat(1.0)
  return f32x4.mul(s, f32x4.add(one, f32x4.mul(x, f32x4.sub(one, s))))
}

/** s(x) (1 - s(x)), s the sigmoid. */
// @ts-ignore: decorator
@inline
export function sigmoidSlope(x: v128): v128 {
  const s = sigmoid(x)
  return f32x4.mul(s, f32x4.sub(f32x4.splat(1.0), s))
}

/** P(x) + x p(x), P and p the distribution function and the density of the normal distribution. */
// @ts-ignore: decorator
@inline
export function geluSlope(x: v128): v128 {
  const density = f32x4.mul(f32x4.splat(0.39894228040), decay(f32x4.mul(f32x4.mul(x, x), f32x4.splat(-0.72134752044))))
  return madd(x, density, normalCdf(x))
}

/** scale, below 0 scale alpha e^x. */
// @ts-ignore: decorator
@inline
export function seluSlope(x: v128): v128 {
  const zero = f32x4.splat(0.0)
  const below = f32x4.mul(f32x4.splat(1.75809934085), exp(f32x4.pmin(x, zero)))
  return v128.bitselect(f32x4.splat(1.05070098736), below, f32x4.gt(x, zero))
}

/**
 * The first min(width, 4) numbers, zeros behind. Loops call their inlined body with a literal 4 for whole vectors, which
 * leaves a plain load, and once more for what is left of the row.
 */
// @ts-ignore: decorator
@inline
export function loadPart(at: usize, width: i32): v128 {
  if (width >= 4) return v128.load(at)
  if (width == 1) return v128.load32_zero(at)
  const two = v128.load64_zero(at)
  return width == 2 ? two : v128.load_lane<f32>(at + 8, two, 2)
}

// @ts-ignore: decorator
@inline
export function storePart(at: usize, width: i32, x: v128): void {
  if (width >= 4) {
    v128.store(at, x)
    return
  }
  for (let i = 0; i < width; i++) {
    store<f32>(at, f32x4.extract_lane(x, 0))
    x = v128.shuffle<f32>(x, x, 1, 2, 3, 0)
    at += 4
  }
}

/** Zeros from number `width` on. */
// @ts-ignore: decorator
@inline
export function maskPart(x: v128, width: i32): v128 {
  return v128.and(x, i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(width)))
}

/** [sum of a, sum of b, sum of c, sum of d], each over its four lanes. */
// @ts-ignore: decorator
@inline
export function sums4(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 4, 1, 5), v128.shuffle<f32>(a, b, 2, 6, 3, 7))
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 4, 1, 5), v128.shuffle<f32>(c, d, 2, 6, 3, 7))
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), v128.shuffle<f32>(ab, cd, 2, 3, 6, 7))
}
