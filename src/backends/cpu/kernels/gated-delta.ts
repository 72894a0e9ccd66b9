// The gated delta rule: one segment per call, rows in reading order. Columns of values of a head go over the rows eight at a time, their
// states [K, 8] where they lie together. Lanes are columns, so nothing is summed across lanes.
import { decay, exp, load1, madd, sigmoid, softplus, store1 } from './math'
import { loadPart, storePart } from './math-grad'

/** Of a head: decay and beta of every row, and a state [K, 8]. */
export function deltaScratch(rows: i32, K: i32): i32 {
  return rows * 8 + K * 32
}

/** Addresses are those of the first row in reading order. h: [H K, V], the state, in place. */
export function deltaRows(
  rows: i32, H: i32, G: i32, K: i32, V: i32, q: usize, qStep: i32, k: usize, kStep: i32, v: usize, vStep: i32, dt: usize, dtStep: i32,
  beta: usize, betaStep: i32, A_log: usize, dtBias: usize, h: usize, scratch: usize, out: usize, outStep: i32,
): void {
  const tile = scratch + rows * 8
  for (let head = 0; head < H; head++) {
    const key = (head * G / H * K) << 2
    const one = head << 2
    deltaFactors(rows, dt + one, dtStep, beta + one, betaStep, A_log + one, dtBias + one, scratch)
    for (let p = 0; p < V; p += 8) {
      const at = (head * V + p) << 2
      const width = min(8, V - p)
      const states = h + at * K - ((p * (K - 1)) << 2)
      for (let i = 0; i < K; i++) {
        v128.store(tile + i * 32, loadPart(states + i * V * 4, width))
        v128.store(tile + i * 32, width > 4 ? loadPart(states + i * V * 4 + 16, width - 4) : f32x4.splat(0), 16)
      }
      columns(rows, K, width, q + key, qStep, k + key, kStep, v + at, vStep, scratch, tile, out + at, outStep)
      for (let i = 0; i < K; i++) {
        storePart(states + i * V * 4, width, v128.load(tile + i * 32))
        if (width > 4) storePart(states + i * V * 4 + 16, width - 4, v128.load(tile + i * 32, 16))
      }
    }
  }
}

/** Decay and beta of a head, [rows, 2]. */
export function deltaFactors(
  rows: i32, dt: usize, dtStep: i32, beta: usize, betaStep: i32, A_log: usize, dtBias: usize, to: usize,
): void {
  const rate = f32x4.mul(f32x4.splat(-1.44269504089), exp(load1(A_log)))
  const bias = load1(dtBias)
  for (let t = 0; t < rows; t++, dt += dtStep, beta += betaStep, to += 8) {
    store1(to, decay(f32x4.mul(rate, softplus(f32x4.add(load1(dt), bias)))))
    store1(to + 4, sigmoid(load1(beta)))
  }
}

function columns(
  rows: i32, K: i32, width: i32, q: usize, qStep: i32, k: usize, kStep: i32, v: usize, vStep: i32, factors: usize, tile: usize,
  out: usize, outStep: i32,
): void {
  const bytes: usize = K << 2
  for (let t = 0; t < rows; t++, q += qStep, k += kStep, v += vStep, factors += 8, out += outStep) {
    const a = v128.load32_splat(factors)
    const beta = v128.load32_splat(factors, 4)
    let low = f32x4.splat(0), high = low
    for (let i: usize = 0, s = tile; i < bytes; i += 4, s += 32) {
      const key = v128.load32_splat(k + i)
      low = madd(key, v128.load(s), low)
      high = madd(key, v128.load(s, 16), high)
    }
    low = f32x4.mul(beta, f32x4.sub(loadPart(v, width), f32x4.mul(a, low)))
    high = f32x4.mul(beta, f32x4.sub(width > 4 ? loadPart(v + 16, width - 4) : f32x4.splat(0), f32x4.mul(a, high)))
    let y = f32x4.splat(0), z = y
    for (let i: usize = 0, s = tile; i < bytes; i += 4, s += 32) {
      const key = v128.load32_splat(k + i), query = v128.load32_splat(q + i)
      const first = madd(key, low, f32x4.mul(a, v128.load(s)))
      const second = madd(key, high, f32x4.mul(a, v128.load(s, 16)))
      v128.store(s, first)
      v128.store(s, second, 16)
      y = madd(query, first, y)
      z = madd(query, second, z)
    }
    storePart(out, width, y)
    if (width > 4) storePart(out + 16, width - 4, z)
  }
}
