import type { Dtype } from '../weight.js'

/** The WGSL of a number of a tensor, by its index: of halves two lie in an integer, the first in its lower half. */
export const numberAt = (dtype: Dtype, x: string, index: string): string =>
  dtype === 'f32' ? `${x}[${index}]` : `widened(${x}[(${index}) / 2u] >> ((${index}) % 2u * 16u))`

/**
 * What `numberAt` calls, of the lower half of an integer. By integers: with unpack2x16float a GPU may take subnormals of f16 for zero, which
 * as f32 are normal.
 */
export const widening: Readonly<Record<Dtype, string>> = {
  f32: '',
  bf16: 'fn widened(bits: u32) -> f32 { return bitcast<f32>(bits << 16u); }',
  f16: `
fn widened(bits: u32) -> f32 {
  let exponent = (bits >> 10u) & 31u;
  let normal = ((bits & 0x7fffu) << 13u) + select(112u << 23u, 224u << 23u, exponent == 31u);
  let subnormal = bitcast<u32>(f32(bits & 0x3ffu) * 0x1p-24);
  return bitcast<f32>(select(normal, subnormal, exponent == 0u) | ((bits & 0x8000u) << 16u));
}`,
}
