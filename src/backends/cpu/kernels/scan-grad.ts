// Gradient of the selective scan, one segment and one group per call, rows in reading order.
//
// Channels go in blocks of 16 (one cache line of every row), rows in blocks of 256. A block is packed once, [rows, 16];
// then tiles of 4 channels x 4 states go forward over its rows, leaving decay and state of every step in 32 KB, and
// straight back. Segments longer than a block first go forward alone, to keep the state at the start of each block.
import { exp2, loadPart, madd, sigmoid, silu, siluSlope, softplus, sums4 } from './math-grad'
import { addPart } from './rows-grad'

const BLOCK: i32 = 256
/** Bytes of a packed row of 16 channels, and of one column block of rows. */
const ROW: usize = 64
const PACKED: usize = 256 * 64
/** Bytes that a tile leaves per step: 4 decays, 4 states before the step, each 4 states wide. */
const STEP: usize = 128

// The scratch: six packed blocks, the trace of a tile, two sums [16], then
// states and their gradients [16, N], then the kept states.
const DELTA: usize = 0
const INPUT: usize = PACKED
const GATED: usize = 2 * PACKED
const SUM_B: usize = 3 * PACKED
const SUM_A: usize = 4 * PACKED
const SUM_C: usize = 5 * PACKED
const TRACE: usize = 6 * PACKED
const TOTAL_D: usize = 6 * PACKED + (256 + 1) * 128
const TOTAL_STEP: usize = TOTAL_D + 64
const STATES: usize = TOTAL_D + 128

/** Bytes of scratch for a segment of `rows` rows. */
export function scanGradScratch(rows: i32, N: i32): i32 {
  return <i32>STATES + (2 + (rows + BLOCK - 1) / BLOCK) * 64 * N
}

/**
 * Addresses of the first row in reading order and of the first channel of the group. N is a multiple of 4.
 * dz, D, dtBias, dD, ddtBias, dState, z, du, ddt may be 0. dA_log [channels, N] adds up d loss / dA_log.
 */
export function scanGrad(
  rows: i32, channels: i32, N: i32,
  u: usize, uStep: i32, dt: usize, dtStep: i32, b: usize, bStep: i32, c: usize, cStep: i32, z: usize, zStep: i32,
  dy: usize, dyStep: i32, rates: usize, D: usize, dtBias: usize, useSoftplus: i32, dState: usize,
  du: usize, duStep: i32, ddt: usize, ddtStep: i32, dB: usize, dBStep: i32, dC: usize, dCStep: i32, dz: usize, dzStep: i32,
  dA_log: usize, dD: usize, ddtBias: usize, scratch: usize,
): void {
  const blocks = (rows + BLOCK - 1) / BLOCK
  const bytes = N << 6
  const h = scratch + STATES
  const dh = h + bytes
  const kept = dh + bytes
  for (let e = 0; e < channels; e += 16) {
    const at = e << 2
    const states = (e * N) << 2
    const count = min(16, channels - e)
    const valid = (count * N) << 2
    // The rates of a last, partial tile are read past the end; its inputs are zero and so is all it adds.
    memory.fill(h, 0, bytes)
    memory.fill(dh, 0, bytes)
    if (dState) memory.copy(dh, dState + states, valid)
    for (let k = 0; k < blocks; k++) {
      memory.copy(kept + k * bytes, h, bytes)
      if (k == blocks - 1) break
      const t = k * BLOCK
      pack(BLOCK, count, u + t * uStep + at, uStep, dt + t * dtStep + at, dtStep, offset(z, t * zStep + at), zStep,
        dy + t * dyStep + at, dyStep, offset(dtBias, at), useSoftplus, scratch)
      for (let j = 0; j < count; j += 4) {
        const width = min(4, count - j)
        for (let n = 0; n < N; n += 4)
          forward(BLOCK, width, N, scratch + (j << 2), b + t * bStep + (n << 2), bStep, rates + states + ((j * N + n) << 2), h + ((j * N + n) << 2), scratch + TRACE)
      }
    }
    for (let k = blocks - 1; k >= 0; k--) {
      const t = k * BLOCK
      const length = min(BLOCK, rows - t)
      const uRow = u + t * uStep + at
      const dtRow = dt + t * dtStep + at
      const zRow = offset(z, t * zStep + at)
      const dyRow = dy + t * dyStep + at
      pack(length, count, uRow, uStep, dtRow, dtStep, zRow, zStep, dyRow, dyStep, offset(dtBias, at), useSoftplus, scratch)
      memory.fill(scratch + SUM_B, 0, 3 * PACKED)
      memory.copy(h, kept + k * bytes, bytes)
      for (let j = 0; j < count; j += 4) {
        const width = min(4, count - j)
        for (let n = 0; n < N; n += 4) {
          const tile = (j * N + n) << 2
          const states4 = rates + states + tile
          forward(length, width, N, scratch + (j << 2), b + t * bStep + (n << 2), bStep, states4, h + tile, scratch + TRACE)
          backward(length, width, N, scratch + (j << 2), b + t * bStep + (n << 2), bStep, c + t * cStep + (n << 2), cStep, states4,
            dh + tile, dB + t * dBStep + (n << 2), dBStep, dC + t * dCStep + (n << 2), dCStep, dA_log + states + tile, scratch + TRACE)
        }
      }
      finish(length, count, scratch, uRow, uStep, dtRow, dtStep, zRow, zStep, dyRow, dyStep, offset(D, at), offset(dtBias, at), useSoftplus,
        offset(du, t * duStep + at), duStep, offset(ddt, t * ddtStep + at), ddtStep, offset(dz, t * dzStep + at), dzStep, offset(dD, at), offset(ddtBias, at))
    }
  }
}

/** An address further on; a missing tensor stays missing. */
// @ts-ignore: decorator
@inline
function offset(at: usize, bytes: i32): usize {
  return at ? at + bytes : 0
}

/** Packs delta, delta u and dy silu(z); channels past `count` become zero. */
function pack(
  rows: i32, count: i32, u: usize, uStep: i32, dt: usize, dtStep: i32, z: usize, zStep: i32, dy: usize, dyStep: i32,
  bias: usize, useSoftplus: i32, to: usize,
): void {
  for (let t = 0; t < rows; t++, to += ROW) {
    let j = 0
    for (; j + 4 <= count; j += 4) packPart(j << 2, 4, u, dt, z, dy, bias, useSoftplus, to)
    if (j < count) packPart(j << 2, count - j, u, dt, z, dy, bias, useSoftplus, to)
    u += uStep
    dt += dtStep
    dy += dyStep
    if (z) z += zStep
  }
}

// @ts-ignore: decorator
@inline
function packPart(at: usize, width: i32, u: usize, dt: usize, z: usize, dy: usize, bias: usize, useSoftplus: i32, to: usize): void {
  let delta = loadPart(dt + at, width)
  if (bias) delta = f32x4.add(delta, loadPart(bias + at, width))
  if (useSoftplus) delta = softplus(delta)
  let gated = loadPart(dy + at, width)
  if (z) gated = f32x4.mul(gated, silu(loadPart(z + at, width)))
  v128.store(to + at, delta, DELTA)
  v128.store(to + at, f32x4.mul(delta, loadPart(u + at, width)), INPUT)
  v128.store(to + at, gated, GATED)
}

/** One state quad of one channel goes a step: keeps its decay and its state before the step, returns the next one. */
// @ts-ignore: decorator
@inline
function step(packed: usize, rate: v128, h: v128, b: v128, trace: usize): v128 {
  const decay = exp2(f32x4.mul(v128.load32_splat(packed, DELTA), rate))
  v128.store(trace, decay)
  v128.store(trace, h, 64)
  return madd(decay, h, f32x4.mul(v128.load32_splat(packed, INPUT), b))
}

/** Four channels x four states over the rows. h: [4, N], read and written. */
function forward(rows: i32, width: i32, N: i32, packed: usize, b: usize, bStep: i32, rates: usize, h: usize, trace: usize): void {
  const next = <usize>(N << 2)
  // Channels that are not there repeat the last one's rates; their inputs are zero.
  const at1 = width > 1 ? next : 0
  const at2 = width > 2 ? 2 * next : at1
  const at3 = width > 3 ? 3 * next : at2
  const r0 = v128.load(rates), r1 = v128.load(rates + at1), r2 = v128.load(rates + at2), r3 = v128.load(rates + at3)
  let h0 = v128.load(h), h1 = v128.load(h + next), h2 = v128.load(h + 2 * next), h3 = v128.load(h + 3 * next)
  for (let t = 0; t < rows; t++, packed += ROW, b += bStep, trace += STEP) {
    const bt = v128.load(b)
    h0 = step(packed, r0, h0, bt, trace)
    h1 = step(packed + 4, r1, h1, bt, trace + 16)
    h2 = step(packed + 8, r2, h2, bt, trace + 32)
    h3 = step(packed + 12, r3, h3, bt, trace + 48)
  }
  v128.store(trace, h0, 64)
  v128.store(trace, h1, 80)
  v128.store(trace, h2, 96)
  v128.store(trace, h3, 112)
  v128.store(h, h0)
  v128.store(h + next, h1)
  v128.store(h + 2 * next, h2)
  v128.store(h + 3 * next, h3)
}

/** The same tile back over the rows, with the gradient of its state in dh [4, N]. */
function backward(
  rows: i32, width: i32, N: i32, packed: usize, b: usize, bStep: i32, c: usize, cStep: i32, rates: usize, dh: usize,
  dB: usize, dBStep: i32, dC: usize, dCStep: i32, dA_log: usize, trace: usize,
): void {
  const next = <usize>(N << 2)
  const at1 = width > 1 ? next : 0
  const at2 = width > 2 ? 2 * next : at1
  const at3 = width > 3 ? 3 * next : at2
  const r0 = v128.load(rates), r1 = v128.load(rates + at1), r2 = v128.load(rates + at2), r3 = v128.load(rates + at3)
  let g0 = v128.load(dh), g1 = v128.load(dh + next), g2 = v128.load(dh + 2 * next), g3 = v128.load(dh + 3 * next)
  let a0 = f32x4.splat(0), a1 = a0, a2 = a0, a3 = a0
  trace += rows * STEP
  let h0 = v128.load(trace, 64), h1 = v128.load(trace, 80), h2 = v128.load(trace, 96), h3 = v128.load(trace, 112)
  packed += rows * ROW
  b += rows * bStep
  c += rows * cStep
  dB += rows * dBStep
  dC += rows * dCStep
  for (let t = 0; t < rows; t++) {
    packed -= ROW
    trace -= STEP
    b -= bStep
    c -= cStep
    dB -= dBStep
    dC -= dCStep
    const ct = v128.load(c)
    const y0 = v128.load32_splat(packed, GATED), y1 = v128.load32_splat(packed + 4, GATED)
    const y2 = v128.load32_splat(packed + 8, GATED), y3 = v128.load32_splat(packed + 12, GATED)
    v128.store(dC, madd(y0, h0, madd(y1, h1, madd(y2, h2, madd(y3, h3, v128.load(dC))))))
    addTo(packed + SUM_C, sums4(f32x4.mul(h0, ct), f32x4.mul(h1, ct), f32x4.mul(h2, ct), f32x4.mul(h3, ct)))
    g0 = madd(y0, ct, g0)
    g1 = madd(y1, ct, g1)
    g2 = madd(y2, ct, g2)
    g3 = madd(y3, ct, g3)
    const x0 = v128.load32_splat(packed, INPUT), x1 = v128.load32_splat(packed + 4, INPUT)
    const x2 = v128.load32_splat(packed + 8, INPUT), x3 = v128.load32_splat(packed + 12, INPUT)
    v128.store(dB, madd(x0, g0, madd(x1, g1, madd(x2, g2, madd(x3, g3, v128.load(dB))))))
    const bt = v128.load(b)
    addTo(packed + SUM_B, sums4(f32x4.mul(g0, bt), f32x4.mul(g1, bt), f32x4.mul(g2, bt), f32x4.mul(g3, bt)))
    h0 = v128.load(trace, 64)
    h1 = v128.load(trace, 80)
    h2 = v128.load(trace, 96)
    h3 = v128.load(trace, 112)
    g0 = f32x4.mul(g0, v128.load(trace))
    g1 = f32x4.mul(g1, v128.load(trace, 16))
    g2 = f32x4.mul(g2, v128.load(trace, 32))
    g3 = f32x4.mul(g3, v128.load(trace, 48))
    const q0 = f32x4.mul(g0, h0), q1 = f32x4.mul(g1, h1), q2 = f32x4.mul(g2, h2), q3 = f32x4.mul(g3, h3)
    addTo(packed + SUM_A, sums4(f32x4.mul(q0, r0), f32x4.mul(q1, r1), f32x4.mul(q2, r2), f32x4.mul(q3, r3)))
    a0 = madd(q0, v128.load32_splat(packed, DELTA), a0)
    a1 = madd(q1, v128.load32_splat(packed + 4, DELTA), a1)
    a2 = madd(q2, v128.load32_splat(packed + 8, DELTA), a2)
    a3 = madd(q3, v128.load32_splat(packed + 12, DELTA), a3)
  }
  v128.store(dh, g0)
  v128.store(dh + next, g1)
  v128.store(dh + 2 * next, g2)
  v128.store(dh + 3 * next, g3)
  const ln2 = f32x4.splat(0.69314718056)
  addTo(dA_log, f32x4.mul(f32x4.mul(a0, r0), ln2))
  if (width > 1) addTo(dA_log + next, f32x4.mul(f32x4.mul(a1, r1), ln2))
  if (width > 2) addTo(dA_log + 2 * next, f32x4.mul(f32x4.mul(a2, r2), ln2))
  if (width > 3) addTo(dA_log + 3 * next, f32x4.mul(f32x4.mul(a3, r3), ln2))
}

// @ts-ignore: decorator
@inline
function addTo(at: usize, x: v128): void {
  v128.store(at, f32x4.add(v128.load(at), x))
}

/** From the sums over the states to du, ddt, dz, dD and ddtBias. */
function finish(
  rows: i32, count: i32, packed: usize, u: usize, uStep: i32, dt: usize, dtStep: i32, z: usize, zStep: i32, dy: usize, dyStep: i32,
  D: usize, bias: usize, useSoftplus: i32,
  du: usize, duStep: i32, ddt: usize, ddtStep: i32, dz: usize, dzStep: i32, dD: usize, ddtBias: usize,
): void {
  for (let j = 0; j < count; j += 4) {
    v128.store(packed + (j << 2), f32x4.splat(0), TOTAL_D)
    v128.store(packed + (j << 2), f32x4.splat(0), TOTAL_STEP)
  }
  for (let t = 0; t < rows; t++) {
    const row = packed + t * ROW
    let j = 0
    for (; j + 4 <= count; j += 4) finishPart(j << 2, 4, packed, row, u, dt, z, dy, D, bias, useSoftplus, du, ddt, dz)
    if (j < count) finishPart(j << 2, count - j, packed, row, u, dt, z, dy, D, bias, useSoftplus, du, ddt, dz)
    u += uStep
    dt += dtStep
    z += zStep
    dy += dyStep
    if (du) du += duStep
    if (ddt) ddt += ddtStep
    if (dz) dz += dzStep
  }
  for (let j = 0; j < count; j += 4) {
    const at = j << 2
    if (dD) addPart(dD + at, count - j, v128.load(packed + at, TOTAL_D))
    if (ddtBias) addPart(ddtBias + at, count - j, v128.load(packed + at, TOTAL_STEP))
  }
}

// @ts-ignore: decorator
@inline
function finishPart(
  at: usize, width: i32, packed: usize, row: usize, u: usize, dt: usize, z: usize, dy: usize, D: usize, bias: usize,
  useSoftplus: i32, du: usize, ddt: usize, dz: usize,
): void {
  const here = row + at
  const skip = D ? loadPart(D + at, width) : f32x4.splat(0)
  const ut = loadPart(u + at, width)
  const g = v128.load(here, GATED)
  const sumB = v128.load(here, SUM_B)
  if (du) addPart(du + at, width, madd(g, skip, f32x4.mul(v128.load(here, DELTA), sumB)))
  let d = madd(ut, sumB, f32x4.mul(f32x4.splat(0.69314718056), v128.load(here, SUM_A)))
  if (useSoftplus) {
    const raw = loadPart(dt + at, width)
    d = f32x4.mul(d, sigmoid(bias ? f32x4.add(raw, loadPart(bias + at, width)) : raw))
  }
  if (ddt) addPart(ddt + at, width, d)
  addTo(packed + at + TOTAL_STEP, d)
  addTo(packed + at + TOTAL_D, f32x4.mul(g, ut))
  if (dz) {
    const y = madd(skip, ut, v128.load(here, SUM_C))
    addPart(dz + at, width, f32x4.mul(f32x4.mul(loadPart(dy + at, width), y), siluSlope(loadPart(z + at, width))))
  }
}
