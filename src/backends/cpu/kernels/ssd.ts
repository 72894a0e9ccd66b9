// SSD, the recurrence of Mamba-2: one segment per call, rows in reading order, in blocks. What a block needs of its rows is packed once;
// then tiles of 8 channels x 4 states go over them with the states in registers. Lanes are channels, so nothing is summed across lanes.
import { decay, exp, load1, madd, softplus, store1 } from './math'
import { loadPart, storePart } from './math-grad'

/** Rows of a block. */
// @ts-ignore: decorator
@inline
export const BLOCK: i32 = 64

/** States kept of a segment: one before each block. */
export function ssdBlocks(rows: i32): i32 {
  return (rows + BLOCK - 1) / BLOCK
}

// Scratch: 8 channels of every row, dt x and then the sums; 8 channels x 4 states at the edge of a head; then steps and decays [H, BLOCK] each;
// then B and C of a group, [N / 4, BLOCK, 8].
// @ts-ignore: decorator
@inline
const SUMS: usize = BLOCK * 32
// @ts-ignore: decorator
@inline
const EDGE: usize = 2 * BLOCK * 32
// @ts-ignore: decorator
@inline
const STEPS: usize = EDGE + 128

export function ssdScratch(H: i32, N: i32): i32 {
  return <i32>STEPS + 2 * H * BLOCK * 4 + ((N + 3) >> 2) * BLOCK * 32
}

/**
 * Addresses are those of the first row in reading order. h: [H P, N], the state, in place. kept: the states before the blocks,
 * [H P, N] each, or 0.
 */
export function ssdRows(
  rows: i32, H: i32, P: i32, G: i32, N: i32, x: usize, xStep: i32, dt: usize, dtStep: i32, b: usize, bStep: i32, c: usize, cStep: i32,
  A_log: usize, D: usize, dtBias: usize, least: f32, most: f32, h: usize, kept: usize, scratch: usize, out: usize, outStep: i32,
): void {
  const deltas = scratch + STEPS
  const decays = deltas + H * BLOCK * 4
  const packed = decays + H * BLOCK * 4
  const bytes = H * P * N * 4
  for (let t = 0; t < rows; t += BLOCK) {
    const length = min(BLOCK, rows - t)
    if (kept) {
      memory.copy(kept, h, bytes)
      kept += bytes
    }
    ssdSteps(length, H, dt, dtStep, A_log, dtBias, least, most, deltas, decays)
    for (let head = 0; head < H; head++) {
      const group = head * G / H
      if (head == 0 || (head - 1) * G / H != group) pack(length, N, b + group * N * 4, bStep, c + group * N * 4, cStep, packed)
      const skip = load<f32>(D + (head << 2))
      for (let p = 0; p < P; p += 8) {
        const at = (head * P + p) << 2
        const width = min(8, P - p)
        take(length, width, x + at, xStep, deltas + head * BLOCK * 4, skip, scratch)
        tiles(length, width, N, decays + head * BLOCK * 4, packed, h + at * N, scratch)
        give(length, width, scratch + SUMS, out + at, outStep)
      }
    }
    x += length * xStep
    dt += length * dtStep
    b += length * bStep
    c += length * cStep
    out += length * outStep
  }
}

/** Steps and decays, [H, BLOCK] each. */
export function ssdSteps(
  rows: i32, H: i32, dt: usize, dtStep: i32, A_log: usize, dtBias: usize, least: f32, most: f32, deltas: usize, decays: usize,
): void {
  const low = f32x4.splat(least), high = f32x4.splat(most)
  for (let head = 0; head < H; head++) {
    const at = head << 2
    const rate = f32x4.mul(f32x4.splat(-1.44269504089), exp(load1(A_log + at)))
    const bias = load1(dtBias + at)
    let raw = dt + at
    for (let t = 0; t < rows; t++, raw += dtStep) {
      const delta = f32x4.pmin(f32x4.pmax(softplus(f32x4.add(load1(raw), bias)), low), high)
      const to = (head * BLOCK + t) << 2
      store1(deltas + to, delta)
      store1(decays + to, decay(f32x4.mul(delta, rate)))
    }
  }
}

/** [rows, N] twice -> [N / 4, BLOCK, 8], zero after the last state. */
function pack(rows: i32, N: i32, b: usize, bStep: i32, c: usize, cStep: i32, to: usize): void {
  for (let n = 0; n < N; n += 4, b += 16, c += 16, to += BLOCK * 32) {
    for (let t = 0; t < rows; t++) {
      v128.store(to + t * 32, loadPart(b + t * bStep, N - n))
      v128.store(to + t * 32, loadPart(c + t * cStep, N - n), 16)
    }
  }
}

/** dt x of up to 8 channels, zero for those that are not there; and D x, with which the sums begin. */
function take(rows: i32, width: i32, x: usize, xStep: i32, deltas: usize, skip: f32, to: usize): void {
  const factor = f32x4.splat(skip)
  for (let t = 0; t < rows; t++, x += xStep, deltas += 4, to += 32) {
    const step = v128.load32_splat(deltas)
    const low = loadPart(x, width)
    const high = width > 4 ? loadPart(x + 16, width - 4) : f32x4.splat(0)
    v128.store(to, f32x4.mul(step, low))
    v128.store(to, f32x4.mul(step, high), 16)
    v128.store(to, f32x4.mul(factor, low), SUMS)
    v128.store(to, f32x4.mul(factor, high), SUMS + 16)
  }
}

function give(rows: i32, width: i32, sums: usize, out: usize, outStep: i32): void {
  for (let t = 0; t < rows; t++, sums += 32, out += outStep) {
    storePart(out, width, v128.load(sums))
    if (width > 4) storePart(out + 16, width - 4, v128.load(sums, 16))
  }
}

/** All states of up to 8 channels; h: [width, N]. */
function tiles(rows: i32, width: i32, N: i32, decays: usize, packed: usize, h: usize, scratch: usize): void {
  const edge = scratch + EDGE
  for (let n = 0; n < N; n += 4, h += 16, packed += BLOCK * 32) {
    const states = N - n
    if (width == 8 && states >= 4) {
      tile(rows, decays, packed, h, N << 2, scratch)
      continue
    }
    for (let i = 0; i < 8; i++) v128.store(edge + i * 16, i < width ? loadPart(h + i * N * 4, states) : f32x4.splat(0))
    tile(rows, decays, packed, edge, 16, scratch)
    for (let i = 0; i < width; i++) storePart(h + i * N * 4, states, v128.load(edge + i * 16))
  }
}

/** 8 channels x 4 states over the rows: state = decay state + dt x B, sums += C state. */
function tile(rows: i32, decays: usize, packed: usize, h: usize, hStep: i32, at: usize): void {
  const upper = h + 4 * hStep
  let p0 = v128.load(h), p1 = v128.load(h + hStep), p2 = v128.load(h + 2 * hStep), p3 = v128.load(h + 3 * hStep)
  let q0 = v128.load(upper), q1 = v128.load(upper + hStep), q2 = v128.load(upper + 2 * hStep), q3 = v128.load(upper + 3 * hStep)
  let l0 = column(p0, p1, p2, p3, 0), l1 = column(p0, p1, p2, p3, 1), l2 = column(p0, p1, p2, p3, 2), l3 = column(p0, p1, p2, p3, 3)
  let u0 = column(q0, q1, q2, q3, 0), u1 = column(q0, q1, q2, q3, 1), u2 = column(q0, q1, q2, q3, 2), u3 = column(q0, q1, q2, q3, 3)
  for (let t = 0; t < rows; t++, decays += 4, packed += 32, at += 32) {
    const a = v128.load32_splat(decays)
    const x = v128.load(at), z = v128.load(at, 16)
    let y = v128.load(at, SUMS), w = v128.load(at, SUMS + 16)
    let b = v128.load32_splat(packed), c = v128.load32_splat(packed, 16)
    l0 = madd(a, l0, f32x4.mul(x, b))
    u0 = madd(a, u0, f32x4.mul(z, b))
    y = madd(c, l0, y)
    w = madd(c, u0, w)
    b = v128.load32_splat(packed, 4)
    c = v128.load32_splat(packed, 20)
    l1 = madd(a, l1, f32x4.mul(x, b))
    u1 = madd(a, u1, f32x4.mul(z, b))
    y = madd(c, l1, y)
    w = madd(c, u1, w)
    b = v128.load32_splat(packed, 8)
    c = v128.load32_splat(packed, 24)
    l2 = madd(a, l2, f32x4.mul(x, b))
    u2 = madd(a, u2, f32x4.mul(z, b))
    y = madd(c, l2, y)
    w = madd(c, u2, w)
    b = v128.load32_splat(packed, 12)
    c = v128.load32_splat(packed, 28)
    l3 = madd(a, l3, f32x4.mul(x, b))
    u3 = madd(a, u3, f32x4.mul(z, b))
    v128.store(at, madd(c, l3, y), SUMS)
    v128.store(at, madd(c, u3, w), SUMS + 16)
  }
  v128.store(h, column(l0, l1, l2, l3, 0))
  v128.store(h + hStep, column(l0, l1, l2, l3, 1))
  v128.store(h + 2 * hStep, column(l0, l1, l2, l3, 2))
  v128.store(h + 3 * hStep, column(l0, l1, l2, l3, 3))
  v128.store(upper, column(u0, u1, u2, u3, 0))
  v128.store(upper + hStep, column(u0, u1, u2, u3, 1))
  v128.store(upper + 2 * hStep, column(u0, u1, u2, u3, 2))
  v128.store(upper + 3 * hStep, column(u0, u1, u2, u3, 3))
}

/** [a[i], b[i], c[i], d[i]]; i is a literal. */
// @ts-ignore: decorator
@inline
function column(a: v128, b: v128, c: v128, d: v128, i: i32): v128 {
  if (i == 0) return v128.shuffle<f32>(v128.shuffle<f32>(a, b, 0, 4, 1, 5), v128.shuffle<f32>(c, d, 0, 4, 1, 5), 0, 1, 4, 5)
  if (i == 1) return v128.shuffle<f32>(v128.shuffle<f32>(a, b, 0, 4, 1, 5), v128.shuffle<f32>(c, d, 0, 4, 1, 5), 2, 3, 6, 7)
  if (i == 2) return v128.shuffle<f32>(v128.shuffle<f32>(a, b, 2, 6, 3, 7), v128.shuffle<f32>(c, d, 2, 6, 3, 7), 0, 1, 4, 5)
  return v128.shuffle<f32>(v128.shuffle<f32>(a, b, 2, 6, 3, 7), v128.shuffle<f32>(c, d, 2, 6, 3, 7), 2, 3, 6, 7)
}
