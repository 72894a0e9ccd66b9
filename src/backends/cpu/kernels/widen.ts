// Half precision to float32, exactly: n numbers of two bytes at x to four bytes at y. Upwards, so that x may be the upper half
// of y's own place.

export function widenBF16(n: i32, x: usize, y: usize): void {
  const end = y + (n << 2)
  for (; y + 32 <= end; x += 16, y += 32) {
    const bits = v128.load(x)
    v128.store(y, i32x4.shl(i32x4.extend_low_i16x8_u(bits), 16))
    v128.store(y, i32x4.shl(i32x4.extend_high_i16x8_u(bits), 16), 16)
  }
  for (; y < end; x += 2, y += 4) store<u32>(y, load<u16>(x) << 16)
}

/** Of finite numbers. */
export function widenF16(n: i32, x: usize, y: usize): void {
  const end = y + (n << 2)
  for (; y + 32 <= end; x += 16, y += 32) {
    const bits = v128.load(x)
    v128.store(y, widen(i32x4.extend_low_i16x8_u(bits)))
    v128.store(y, widen(i32x4.extend_high_i16x8_u(bits)), 16)
  }
  for (; y < end; x += 2, y += 4) store<f32>(y, f32x4.extract_lane(widen(i32x4.splat(load<u16>(x))), 0))
}

// @ts-ignore: decorator
@inline
function widen(bits: v128): v128 {
  const magnitude = v128.and(bits, i32x4.splat(0x7fff))
  const fraction = i32x4.shl(magnitude, 13)
  const normal = i32x4.add(fraction, i32x4.splat(112 << 23))
  // Below 2^-14: the fraction above 2^-14, less 2^-14. No subnormal float32 on the way, which is slow.
  const small = f32x4.sub(i32x4.add(fraction, i32x4.splat(113 << 23)), f32x4.splat(0.00006103515625))
  const value = v128.bitselect(small, normal, i32x4.lt_s(magnitude, i32x4.splat(0x0400)))
  return v128.or(value, i32x4.shl(v128.and(bits, i32x4.splat(0x8000)), 16))
}
