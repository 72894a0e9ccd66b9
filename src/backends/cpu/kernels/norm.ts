// LayerNorm and RMSNorm, row by row.
import { load1, madd, store1, sum4 } from './math'

/** y = (x - mean) / sqrt(variance + eps) weight + bias; without `center` the mean is 0. weight and bias may be 0. */
export function normRows(
  rows: i32, cols: i32, x: usize, xStep: i32, weight: usize, bias: usize, eps: f32, center: i32, y: usize, yStep: i32,
): void {
  for (let t = 0; t < rows; t++, x += xStep, y += yStep) {
    const mean: f32 = center ? sumOf(x, cols) / <f32>cols : 0
    const scale: f32 = <f32>1 / sqrt<f32>(squares(x, cols, mean) / <f32>cols + eps)
    scaleRow(x, cols, mean, scale, weight, bias, y)
  }
}

function sumOf(x: usize, cols: i32): f32 {
  const end = x + (cols << 2)
  let sum = f32x4.splat(0)
  for (; x + 16 <= end; x += 16) sum = f32x4.add(sum, v128.load(x))
  for (; x < end; x += 4) sum = f32x4.add(sum, load1(x))
  return sum4(sum)
}

/** Sum of (x - mean)^2, two accumulators. */
function squares(x: usize, cols: i32, mean: f32): f32 {
  const end = x + (cols << 2)
  const middle = f32x4.splat(mean)
  let even = f32x4.splat(0)
  let odd = f32x4.splat(0)
  for (; x + 32 <= end; x += 32) {
    const a = f32x4.sub(v128.load(x), middle)
    const b = f32x4.sub(v128.load(x, 16), middle)
    even = madd(a, a, even)
    odd = madd(b, b, odd)
  }
  let sum = sum4(f32x4.add(even, odd))
  for (; x < end; x += 4) {
    const a = load<f32>(x) - mean
    sum += a * a
  }
  return sum
}

function scaleRow(x: usize, cols: i32, mean: f32, scale: f32, weight: usize, bias: usize, y: usize): void {
  const middle = f32x4.splat(mean)
  const factor = f32x4.splat(scale)
  const end = x + (cols << 2)
  for (; x + 16 <= end; x += 16, y += 16) {
    let v = f32x4.mul(f32x4.sub(v128.load(x), middle), factor)
    if (weight) {
      v = f32x4.mul(v, v128.load(weight))
      weight += 16
    }
    if (bias) {
      v = f32x4.add(v, v128.load(bias))
      bias += 16
    }
    v128.store(y, v)
  }
  for (; x < end; x += 4, y += 4) {
    let v = f32x4.mul(f32x4.sub(load1(x), middle), factor)
    if (weight) {
      v = f32x4.mul(v, load1(weight))
      weight += 4
    }
    if (bias) {
      v = f32x4.add(v, load1(bias))
      bias += 4
    }
    store1(y, v)
  }
}
