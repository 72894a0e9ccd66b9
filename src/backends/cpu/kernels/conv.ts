// Depthwise causal convolution with bias and silu, one segment per call, rows in reading order.
import { siluRow } from './elementwise'
import { load1, madd, store1 } from './math'

/**
 * before: [K, E], the K inputs before the first row, newest last; a null segment start gives zeros there.
 * taps: room for K addresses. Row i of the output is bias + sum_k weight[k] input[i - (K - 1) + k].
 */
export function causalConv(
  rows: i32, E: i32, K: i32, x: usize, xStep: i32, before: usize, weight: usize, bias: usize, activate: i32, taps: usize,
  out: usize, outStep: i32,
): void {
  const width = E << 2
  for (let i = 0; i < rows; i++) {
    for (let k = 0; k < K; k++) {
      const row = i - (K - 1) + k
      store<u32>(taps + (k << 2), <u32>(row < 0 ? before + (K + row) * width : x + row * xStep))
    }
    if (K == 4) convRow4(width, load<u32>(taps), load<u32>(taps, 4), load<u32>(taps, 8), load<u32>(taps, 12), weight, bias, out)
    else convRow(width, K, taps, weight, bias, out)
    if (activate) siluRow(width, out, out)
    out += outStep
  }
}

function convRow4(width: i32, x0: usize, x1: usize, x2: usize, x3: usize, w0: usize, bias: usize, out: usize): void {
  const w1 = w0 + width
  const w2 = w1 + width
  const w3 = w2 + width
  const full = width & -16
  let e: i32 = 0
  for (; e + 32 <= width; e += 32) {
    let y = bias ? v128.load(bias + e) : f32x4.splat(0)
    let v = bias ? v128.load(bias + e, 16) : f32x4.splat(0)
    y = madd(v128.load(w0 + e), v128.load(x0 + e), y)
    v = madd(v128.load(w0 + e, 16), v128.load(x0 + e, 16), v)
    y = madd(v128.load(w1 + e), v128.load(x1 + e), y)
    v = madd(v128.load(w1 + e, 16), v128.load(x1 + e, 16), v)
    y = madd(v128.load(w2 + e), v128.load(x2 + e), y)
    v = madd(v128.load(w2 + e, 16), v128.load(x2 + e, 16), v)
    y = madd(v128.load(w3 + e), v128.load(x3 + e), y)
    v = madd(v128.load(w3 + e, 16), v128.load(x3 + e, 16), v)
    v128.store(out + e, y)
    v128.store(out + e, v, 16)
  }
  for (; e < full; e += 16) {
    let y = bias ? v128.load(bias + e) : f32x4.splat(0)
    y = madd(v128.load(w0 + e), v128.load(x0 + e), y)
    y = madd(v128.load(w1 + e), v128.load(x1 + e), y)
    y = madd(v128.load(w2 + e), v128.load(x2 + e), y)
    y = madd(v128.load(w3 + e), v128.load(x3 + e), y)
    v128.store(out + e, y)
  }
  for (; e < width; e += 4) {
    let y = bias ? load1(bias + e) : f32x4.splat(0)
    y = madd(load1(w0 + e), load1(x0 + e), y)
    y = madd(load1(w1 + e), load1(x1 + e), y)
    y = madd(load1(w2 + e), load1(x2 + e), y)
    y = madd(load1(w3 + e), load1(x3 + e), y)
    store1(out + e, y)
  }
}

function convRow(width: i32, K: i32, taps: usize, weight: usize, bias: usize, out: usize): void {
  const full = width & -16
  let e: i32 = 0
  for (; e < full; e += 16) {
    let y = bias ? v128.load(bias + e) : f32x4.splat(0)
    for (let k = 0; k < K; k++) y = madd(v128.load(weight + k * width + e), v128.load(load<u32>(taps + (k << 2)) + e), y)
    v128.store(out + e, y)
  }
  for (; e < width; e += 4) {
    let y = bias ? load1(bias + e) : f32x4.splat(0)
    for (let k = 0; k < K; k++) y = madd(load1(weight + k * width + e), load1(load<u32>(taps + (k << 2)) + e), y)
    store1(out + e, y)
  }
}
