// Mamba-1 selective scan, one segment per call: every time step sweeps all channels (state [E, N] row-major), because
// full-width rows keep the memory streams simple. Softplus and gate are row passes of their own, which is faster than
// the same work inside the channel loop.
import { gateRow } from './elementwise'
import { decay, exp, exp2, load1, madd, softplus, store1, sum4 } from './math'

/** rates = -e^A_log log2(e), so that e^(dt A) = 2^(dt rate). */
export function decayRates(A_log: usize, count: i32, rates: usize): void {
  const factor = f32x4.splat(-1.44269504089)
  const end = A_log + (count << 2)
  for (; A_log + 16 <= end; A_log += 16, rates += 16) v128.store(rates, f32x4.mul(factor, exp(v128.load(A_log))))
  for (; A_log < end; A_log += 4, rates += 4) store1(rates, f32x4.mul(factor, exp(load1(A_log))))
}

/** Rows from one state that is kept for the gradient to the next. */
// @ts-ignore: decorator
@inline
export const BLOCK: i32 = 32

/** How many states of a segment are kept. */
export function keptStates(rows: i32): i32 {
  return (rows + BLOCK - 1) / BLOCK
}

/**
 * Addresses are those of the first row in reading order. N is a multiple of 4. D, z, dtBias and kept may be 0.
 * scratch: [2, E] floats. add: the result is added to `out`. kept: the states before row 0, BLOCK, 2 BLOCK ..., [E, N] each.
 */
export function selectiveScan(
  rows: i32, E: i32, G: i32, N: i32,
  u: usize, uStep: i32, dt: usize, dtStep: i32, b: usize, bStep: i32, c: usize, cStep: i32, z: usize, zStep: i32,
  rates: usize, D: usize, dtBias: usize, useSoftplus: i32, h: usize, scratch: usize, out: usize, outStep: i32, add: i32, kept: usize,
): void {
  const delta = scratch
  const sums = scratch + (E << 2)
  const channels = E / G
  for (let t = 0; t < rows; t++) {
    if (kept && t % BLOCK == 0) {
      const bytes = E * N << 2
      memory.copy(kept, h, bytes)
      kept += bytes
    }
    stepSizes(dt, dtBias, useSoftplus, E, delta)
    for (let g = 0; g < G; g++) {
      const e = g * channels
      const state = (e * N) << 2
      const group = (g * N) << 2
      const at = e << 2
      if (N == 16 && useSoftplus) sweep16(channels, delta + at, u + at, b + group, c + group, rates + state, h + state, sums + at)
      else if (N == 8 && useSoftplus) sweep8(channels, delta + at, u + at, b + group, c + group, rates + state, h + state, sums + at)
      else sweep(channels, N, delta + at, u + at, b + group, c + group, rates + state, h + state, sums + at)
    }
    if (D) skip(E, sums, u, D)
    if (add) {
      if (z) gateRow(E << 2, sums, z, sums)
      accumulate(E, sums, out)
    } else if (z) gateRow(E << 2, sums, z, out)
    else memory.copy(out, sums, E << 2)
    u += uStep
    dt += dtStep
    b += bStep
    c += cStep
    if (z) z += zStep
    out += outStep
  }
}

/** delta = softplus(dt + bias) */
function stepSizes(dt: usize, bias: usize, useSoftplus: i32, E: i32, delta: usize): void {
  const width = E << 2
  if (bias) {
    let e: i32 = 0
    for (; e + 16 <= width; e += 16) v128.store(delta + e, f32x4.add(v128.load(dt + e), v128.load(bias + e)))
    for (; e < width; e += 4) store1(delta + e, f32x4.add(load1(dt + e), load1(bias + e)))
  } else memory.copy(delta, dt, width)
  if (useSoftplus) softplusRow(width, delta)
}

function softplusRow(width: i32, x: usize): void {
  const end = x + width
  for (; x + 64 <= end; x += 64) {
    v128.store(x, softplus(v128.load(x)))
    v128.store(x, softplus(v128.load(x, 16)), 16)
    v128.store(x, softplus(v128.load(x, 32)), 32)
    v128.store(x, softplus(v128.load(x, 48)), 48)
  }
  for (; x + 16 <= end; x += 16) v128.store(x, softplus(v128.load(x)))
  for (; x < end; x += 4) store1(x, softplus(load1(x)))
}

/** sums += D u */
function skip(E: i32, sums: usize, u: usize, D: usize): void {
  const end = sums + (E << 2)
  for (; sums + 16 <= end; sums += 16, u += 16, D += 16) v128.store(sums, madd(v128.load(D), v128.load(u), v128.load(sums)))
  for (; sums < end; sums += 4, u += 4, D += 4) store1(sums, madd(load1(D), load1(u), load1(sums)))
}

/** out += y */
function accumulate(E: i32, y: usize, out: usize): void {
  const end = y + (E << 2)
  for (; y + 16 <= end; y += 16, out += 16) v128.store(out, f32x4.add(v128.load(out), v128.load(y)))
  for (; y < end; y += 4, out += 4) store1(out, f32x4.add(load1(out), load1(y)))
}

/** Four states of one channel after one step: 2^(d rate) h + du B. d >= 0, so it can only decay. */
// @ts-ignore: decorator
@inline
function next(rate: v128, h: v128, d: v128, du: v128, b: v128): v128 {
  return madd(decay(f32x4.mul(d, rate)), h, f32x4.mul(du, b))
}

/** [sum4(a), sum4(b), sum4(c), sum4(d)] */
// @ts-ignore: decorator
@inline
function sums4(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 1, 4, 5), v128.shuffle<f32>(a, b, 2, 3, 6, 7))
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 1, 4, 5), v128.shuffle<f32>(c, d, 2, 3, 6, 7))
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 2, 4, 6), v128.shuffle<f32>(ab, cd, 1, 3, 5, 7))
}

/** All states of one channel go one step; the sums over them are C h. Distances are literals, which are a part of the instructions. */
// @ts-ignore: decorator
@inline
function channel16(d: usize, u: usize, rates: usize, h: usize, b0: v128, b1: v128, b2: v128, b3: v128, c0: v128, c1: v128, c2: v128, c3: v128): v128 {
  const step = v128.load32_splat(d)
  const input = f32x4.mul(step, v128.load32_splat(u))
  const h0 = next(v128.load(rates), v128.load(h), step, input, b0)
  v128.store(h, h0)
  const h1 = next(v128.load(rates, 16), v128.load(h, 16), step, input, b1)
  v128.store(h, h1, 16)
  const h2 = next(v128.load(rates, 32), v128.load(h, 32), step, input, b2)
  v128.store(h, h2, 32)
  const h3 = next(v128.load(rates, 48), v128.load(h, 48), step, input, b3)
  v128.store(h, h3, 48)
  return madd(h3, c3, madd(h2, c2, madd(h1, c1, f32x4.mul(h0, c0))))
}

function sweep16(channels: i32, d: usize, u: usize, b: usize, c: usize, rates: usize, h: usize, y: usize): void {
  const b0 = v128.load(b), b1 = v128.load(b, 16), b2 = v128.load(b, 32), b3 = v128.load(b, 48)
  const c0 = v128.load(c), c1 = v128.load(c, 16), c2 = v128.load(c, 32), c3 = v128.load(c, 48)
  const end = d + (channels << 2)
  for (; d + 16 <= end; d += 16, u += 16, y += 16, rates += 256, h += 256) {
    const y0 = channel16(d, u, rates, h, b0, b1, b2, b3, c0, c1, c2, c3)
    const y1 = channel16(d + 4, u + 4, rates + 64, h + 64, b0, b1, b2, b3, c0, c1, c2, c3)
    const y2 = channel16(d + 8, u + 8, rates + 128, h + 128, b0, b1, b2, b3, c0, c1, c2, c3)
    const y3 = channel16(d + 12, u + 12, rates + 192, h + 192, b0, b1, b2, b3, c0, c1, c2, c3)
    v128.store(y, sums4(y0, y1, y2, y3))
  }
  for (; d < end; d += 4, u += 4, y += 4, rates += 64, h += 64) {
    store<f32>(y, sum4(channel16(d, u, rates, h, b0, b1, b2, b3, c0, c1, c2, c3)))
  }
}

// @ts-ignore: decorator
@inline
function channel8(d: usize, u: usize, rates: usize, h: usize, b0: v128, b1: v128, c0: v128, c1: v128): v128 {
  const step = v128.load32_splat(d)
  const input = f32x4.mul(step, v128.load32_splat(u))
  const h0 = next(v128.load(rates), v128.load(h), step, input, b0)
  v128.store(h, h0)
  const h1 = next(v128.load(rates, 16), v128.load(h, 16), step, input, b1)
  v128.store(h, h1, 16)
  return madd(h1, c1, f32x4.mul(h0, c0))
}

function sweep8(channels: i32, d: usize, u: usize, b: usize, c: usize, rates: usize, h: usize, y: usize): void {
  const b0 = v128.load(b), b1 = v128.load(b, 16), c0 = v128.load(c), c1 = v128.load(c, 16)
  const end = d + (channels << 2)
  for (; d + 16 <= end; d += 16, u += 16, y += 16, rates += 128, h += 128) {
    const y0 = channel8(d, u, rates, h, b0, b1, c0, c1)
    const y1 = channel8(d + 4, u + 4, rates + 32, h + 32, b0, b1, c0, c1)
    const y2 = channel8(d + 8, u + 8, rates + 64, h + 64, b0, b1, c0, c1)
    const y3 = channel8(d + 12, u + 12, rates + 96, h + 96, b0, b1, c0, c1)
    v128.store(y, sums4(y0, y1, y2, y3))
  }
  for (; d < end; d += 4, u += 4, y += 4, rates += 32, h += 32) {
    store<f32>(y, sum4(channel8(d, u, rates, h, b0, b1, c0, c1)))
  }
}

/** Four states of one channel go one step, of either sign; returns sum + C h. */
// @ts-ignore: decorator
@inline
function fourAny(rates: usize, h: usize, d: v128, du: v128, b: v128, c: v128, sum: v128): v128 {
  const after = madd(exp2(f32x4.mul(d, v128.load(rates))), v128.load(h), f32x4.mul(du, b))
  v128.store(h, after)
  return madd(after, c, sum)
}

/** Any multiple of 4 states and steps of either sign, four channels a turn. */
function sweep(channels: i32, N: i32, d: usize, u: usize, b: usize, c: usize, rates: usize, h: usize, y: usize): void {
  const end = d + (channels << 2)
  const width = N << 2
  for (; d + 16 <= end; d += 16, u += 16, y += 16, rates += 4 * width, h += 4 * width) {
    const d0 = v128.load32_splat(d), d1 = v128.load32_splat(d, 4), d2 = v128.load32_splat(d, 8), d3 = v128.load32_splat(d, 12)
    const u0 = f32x4.mul(d0, v128.load32_splat(u)), u1 = f32x4.mul(d1, v128.load32_splat(u, 4))
    const u2 = f32x4.mul(d2, v128.load32_splat(u, 8)), u3 = f32x4.mul(d3, v128.load32_splat(u, 12))
    let y0 = f32x4.splat(0), y1 = y0, y2 = y0, y3 = y0
    for (let n = 0; n < width; n += 16) {
      const bn = v128.load(b + n), cn = v128.load(c + n)
      const r = rates + n, s = h + n
      y0 = fourAny(r, s, d0, u0, bn, cn, y0)
      y1 = fourAny(r + width, s + width, d1, u1, bn, cn, y1)
      y2 = fourAny(r + 2 * width, s + 2 * width, d2, u2, bn, cn, y2)
      y3 = fourAny(r + 3 * width, s + 3 * width, d3, u3, bn, cn, y3)
    }
    v128.store(y, sums4(y0, y1, y2, y3))
  }
  for (; d < end; d += 4, u += 4, y += 4, rates += width, h += width) {
    const step = v128.load32_splat(d)
    const input = f32x4.mul(step, v128.load32_splat(u))
    let sum = f32x4.splat(0)
    for (let n = 0; n < width; n += 16) sum = fourAny(rates + n, h + n, step, input, v128.load(b + n), v128.load(c + n), sum)
    store<f32>(y, sum4(sum))
  }
}
