// Elementary functions on four float32 lanes.

/** a * b + c; one rounding where the relaxed module runs on a machine with FMA. */
// @ts-ignore: decorator
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c)
  return f32x4.add(f32x4.mul(a, b), c)
}

/** The first lane alone, for the columns after the last full vector. */
// @ts-ignore: decorator
@inline
export function load1(at: usize): v128 {
  return v128.load32_zero(at)
}

// @ts-ignore: decorator
@inline
export function store1(at: usize, x: v128): void {
  v128.store_lane<f32>(at, x, 0)
}

/** Sum of the four lanes. */
// @ts-ignore: decorator
@inline
export function sum4(x: v128): f32 {
  const pairs = f32x4.add(x, v128.shuffle<f32>(x, x, 2, 3, 0, 1))
  return f32x4.extract_lane(pairs, 0) + f32x4.extract_lane(pairs, 1)
}

/** 2^x for x <= 128 (more is not looked for), at least 2^-126. */
// @ts-ignore: decorator
@inline
export function decay(x: v128): v128 {
  const inside = f32x4.pmax(x, f32x4.splat(-126.0))
  if (ASC_FEATURE_RELAXED_SIMD) {
    const whole = f32x4.nearest(inside)
    return power(f32x4.sub(inside, whole), i32x4.relaxed_trunc_f32x4_s(whole))
  }
  // The low bits of a float32 near 1.5 * 2^23 are a whole number.
  const magic = f32x4.splat(12582912.0)
  const shifted = f32x4.add(inside, magic)
  return power(f32x4.sub(inside, f32x4.sub(shifted, magic)), shifted)
}

/**
 * 2^f * 2^n for f in [-0.5, 0.5] and n = the low bits of `whole`.
 * Own minimax fit with p(0) = 1, so that a state that must not decay does not drift over a million steps;
 * maximum relative error 1.6e-7 in float32. In pairs, because six products in a row would wait for each other.
 */
// @ts-ignore: decorator
@inline
function power(f: v128, whole: v128): v128 {
  const square = f32x4.mul(f, f)
  const high = madd(f, f32x4.splat(0.00132647274451), f32x4.splat(0.00967151291868))
  const middle = madd(f, f32x4.splat(0.0555073374518), f32x4.splat(0.240222420811))
  const low = madd(f, f32x4.splat(0.693146977597), f32x4.splat(1.0))
  return i32x4.add(madd(madd(high, square, middle), square, low), i32x4.shl(whole, 23))
}

/** 2^x, between 2^-126 and infinity. */
// @ts-ignore: decorator
@inline
export function exp2(x: v128): v128 {
  return decay(f32x4.pmin(x, f32x4.splat(128.0)))
}

/** e^x; its relative error grows by 6e-8 |x|, which is that of a float32 x itself. */
// @ts-ignore: decorator
@inline
export function exp(x: v128): v128 {
  return exp2(f32x4.mul(x, f32x4.splat(1.44269504089)))
}

/** 1 + e^-x, finite. */
// @ts-ignore: decorator
@inline
function onePlusExp(x: v128): v128 {
  const power = f32x4.pmin(f32x4.mul(x, f32x4.splat(-1.44269504089)), f32x4.splat(127.0))
  return f32x4.add(f32x4.splat(1.0), decay(power))
}

/** x / (1 + e^-x) */
// @ts-ignore: decorator
@inline
export function silu(x: v128): v128 {
  return f32x4.div(x, onePlusExp(x))
}

/** 1 / (1 + e^-x) */
// @ts-ignore: decorator
@inline
export function sigmoid(x: v128): v128 {
  return f32x4.div(f32x4.splat(1.0), onePlusExp(x))
}

/** The distribution function of the normal distribution, by formula 7.1.26 of Abramowitz and Stegun: within 1e-7. */
// @ts-ignore: decorator
@inline
export function normalCdf(x: v128): v128 {
  const z = f32x4.mul(f32x4.abs(x), f32x4.splat(0.70710678118))
  const t = f32x4.div(f32x4.splat(1.0), madd(z, f32x4.splat(0.3275911), f32x4.splat(1.0)))
  const p43 = madd(t, f32x4.splat(1.061405429), f32x4.splat(-1.453152027))
  const p21 = madd(madd(t, p43, f32x4.splat(1.421413741)), t, f32x4.splat(-0.284496736))
  const polynomial = f32x4.mul(t, madd(t, p21, f32x4.splat(0.254829592)))
  // Half of erfc(|x| / sqrt 2), the part on one side.
  const tail = f32x4.mul(f32x4.splat(0.5), f32x4.mul(polynomial, decay(f32x4.mul(f32x4.mul(z, z), f32x4.splat(-1.44269504089)))))
  return v128.bitselect(tail, f32x4.sub(f32x4.splat(1.0), tail), f32x4.lt(x, f32x4.splat(0.0)))
}

/** x times the distribution function of the normal distribution at x (GELU, arXiv 1606.08415). */
// @ts-ignore: decorator
@inline
export function gelu(x: v128): v128 {
  return f32x4.mul(x, normalCdf(x))
}

/** scale x, below 0 scale alpha (e^x - 1) (SELU, arXiv 1706.02515); within 2e-7. */
// @ts-ignore: decorator
@inline
export function selu(x: v128): v128 {
  const below = f32x4.mul(f32x4.splat(1.75809934085), f32x4.sub(exp(f32x4.pmin(x, f32x4.splat(0.0))), f32x4.splat(1.0)))
  return v128.bitselect(f32x4.mul(f32x4.splat(1.05070098736), x), below, f32x4.gt(x, f32x4.splat(0.0)))
}

/** log(1 + e^x) as max(x, 0) + log1p(e^-|x|); above 20 that is x itself. log1p(e) / e: degree 8, 3e-8 on [0, 1]. */
// @ts-ignore: decorator
@inline
export function softplus(x: v128): v128 {
  return softplusOf(x, expOfMinusAbs(x))
}

/** e^-|x| */
// @ts-ignore: decorator
@inline
export function expOfMinusAbs(x: v128): v128 {
  return decay(f32x4.mul(f32x4.abs(x), f32x4.splat(-1.44269504089)))
}

/** softplus(x) where e = e^-|x| is known. */
// @ts-ignore: decorator
@inline
export function softplusOf(x: v128, e: v128): v128 {
  const e2 = f32x4.mul(e, e)
  const p01 = madd(e, f32x4.splat(-0.4999949314), f32x4.splat(0.9999999699))
  const p23 = madd(e, f32x4.splat(-0.2484298221), f32x4.splat(0.3331909681))
  const p45 = madd(e, f32x4.splat(-0.1366324579), f32x4.splat(0.1910600676))
  const p67 = madd(e, f32x4.splat(-0.02950523877), f32x4.splat(0.07822595187))
  const high = madd(madd(f32x4.splat(0.005232694263), e2, p67), e2, p45)
  const p = madd(madd(high, e2, p23), e2, p01)
  return madd(p, e, f32x4.pmax(x, f32x4.splat(0.0)))
}
