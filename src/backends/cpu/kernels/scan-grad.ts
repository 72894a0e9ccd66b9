// Gradient of the selective scan, one segment and one group per call, rows in reading order.
//
// Rows go in blocks, the last first, each from the state that the forward scan kept for it; channels in blocks of 256
// (narrower ones are slower: their rows come from memory a few lines at a time). What a block needs is packed once, row
// by row; then tiles of 8 channels (two vectors) x 2 states go forward over its rows, leaving decay and state of every
// step, and straight back. Lanes are channels, so only dB and dC have sums across lanes: they add up as vectors over
// all tiles of the row block and are folded once. A block is so short that what a tile reads stays in the first-level
// cache, and what all tiles read in the second.
import { decay, expOfMinusAbs, loadPart, madd, sigmoid, siluSlopeOf, softplusOf, sums4 } from './math-grad'
import { addPart } from './rows-grad'
import { BLOCK } from './scan'

// A packed row of 8 channels, 32 bytes for each of:
// @ts-ignore: decorator
@inline
const DELTA: usize = 0
/** delta u */
// @ts-ignore: decorator
@inline
const INPUT: usize = 32
/** dy silu(z) */
// @ts-ignore: decorator
@inline
const GATED: usize = 64
/** Sums over the states: of dh B, of dh decay h rate, of C h. */
// @ts-ignore: decorator
@inline
const SUM_B: usize = 96
// @ts-ignore: decorator
@inline
const SUM_A: usize = 128
// @ts-ignore: decorator
@inline
const SUM_C: usize = 160
/** d delta / d dt, and dy d silu(z) / dz. */
// @ts-ignore: decorator
@inline
const STEP_SLOPE: usize = 192
// @ts-ignore: decorator
@inline
const GATE_SLOPE: usize = 224
// @ts-ignore: decorator
@inline
const RECORD: usize = 256
/** From 8 channels of a block to the next 8; not a power of two, for the sake of the cache. */
// @ts-ignore: decorator
@inline
const NEXT: usize = (BLOCK + 1) * 256
/** Channels of a block. */
// @ts-ignore: decorator
@inline
const WIDTH: i32 = 256

/** A tile leaves per step 4 decays, then 4 states before the step. */
// @ts-ignore: decorator
@inline
const STEP: usize = 128
/** A pair of states adds up per step [dB, dB, dC, dC], 4 lanes each. */
// @ts-ignore: decorator
@inline
const PARTIAL: usize = 64

// The scratch: packed rows, the trace of a tile, two totals [WIDTH], partial sums, then states.
// @ts-ignore: decorator
@inline
const TRACE: usize = WIDTH / 8 * (BLOCK + 1) * 256
// @ts-ignore: decorator
@inline
const TOTAL_D: usize = TRACE + (BLOCK + 4) * 128
// @ts-ignore: decorator
@inline
const TOTAL_STEP: usize = TOTAL_D + WIDTH * 4
// @ts-ignore: decorator
@inline
const PARTIALS: usize = TOTAL_D + WIDTH * 8

// @ts-ignore: decorator
@inline
function stateBytes(channels: i32, N: i32): i32 {
  return ((channels + 7) & -8) * N * 4
}

/** Bytes of scratch. */
export function scanGradScratch(channels: i32, N: i32): i32 {
  return <i32>PARTIALS + N * BLOCK * 32 + 4 * stateBytes(channels, N)
}

/**
 * Addresses of the first row in reading order and of the first channel of the group. N is even, a multiple of 4.
 * kept: the states [channels, N] before row 0, BLOCK ..., keptStep bytes apart. dA_log [channels, N].
 * z and dState may be 0; without z, dz is not touched in any way that matters. All outputs are added to, but du, ddt and
 * dz only written if they are `fresh`.
 */
export function scanGrad(
  rows: i32, channels: i32, N: i32,
  u: usize, uStep: i32, dt: usize, dtStep: i32, b: usize, bStep: i32, c: usize, cStep: i32, z: usize, zStep: i32,
  dy: usize, dyStep: i32, rates: usize, D: usize, dtBias: usize, useSoftplus: i32, kept: usize, keptStep: i32, dState: usize,
  du: usize, duStep: i32, ddt: usize, ddtStep: i32, dB: usize, dBStep: i32, dC: usize, dCStep: i32, dz: usize, dzStep: i32,
  fresh: i32, dA_log: usize, dD: usize, ddtBias: usize, scratch: usize,
): void {
  const bytes = stateBytes(channels, N)
  // All in the order of the tiles, [channels / 8, N, 8].
  const tileRates = scratch + PARTIALS + N * BLOCK * 32
  const dA = tileRates + bytes
  const h = dA + bytes
  const dh = h + bytes
  memory.fill(tileRates, 0, 4 * bytes)
  toTiles(channels, N, rates, tileRates)
  if (dState) toTiles(channels, N, dState, dh)

  for (let k = (rows - 1) / BLOCK; k >= 0; k--) {
    const t = k * BLOCK
    const length = min(BLOCK, rows - t)
    memory.fill(scratch + PARTIALS, 0, N * BLOCK * 32)
    toTiles(channels, N, kept + k * keptStep, h)
    for (let e = 0; e < channels; e += WIDTH) {
      const at = e << 2
      pack(length, channels - e, u + t * uStep + at, uStep, dt + t * dtStep + at, dtStep, z ? z + t * zStep + at : 0, zStep,
        dy + t * dyStep + at, dyStep, dtBias + at, useSoftplus, scratch)
      for (let s = 0; s < min(WIDTH, channels - e); s += 8) {
        const packed = scratch + (s >> 3) * NEXT
        let tile = (e + s) * N * 4
        let partial = scratch + PARTIALS
        for (let n = 0; n < N; n += 2, tile += 64, partial += BLOCK * PARTIAL) {
          const bRow = b + t * bStep + (n << 2)
          const cRow = c + t * cStep + (n << 2)
          forward(length, packed, bRow, bStep, tileRates + tile, h + tile, scratch + TRACE)
          if (n == 0) backwardFirst(length, packed, bRow, bStep, cRow, cStep, tileRates + tile, dh + tile, dA + tile, partial, scratch + TRACE)
          else backward(length, packed, bRow, bStep, cRow, cStep, tileRates + tile, dh + tile, dA + tile, partial, scratch + TRACE)
        }
      }
      finish(length, channels - e, scratch, u + t * uStep + at, uStep, D + at, du + t * duStep + at, duStep,
        ddt + t * ddtStep + at, ddtStep, dz + t * dzStep + at, dzStep, fresh, dD + at, ddtBias + at)
    }
    foldPartials(length, N, scratch + PARTIALS, dB + t * dBStep, dBStep, dC + t * dCStep, dCStep)
  }
  addDecayGradient(channels, N, dA, rates, dA_log)
}

/** Where state n of channel e lies in the order of the tiles. */
// @ts-ignore: decorator
@inline
function tileOffset(e: i32, n: i32, N: i32): i32 {
  return (((e >> 3) * N + n) * 8 + (e & 7)) << 2
}

/** [channels, N] to the order of the tiles. */
function toTiles(channels: i32, N: i32, from: usize, to: usize): void {
  for (let e = 0; e < channels; e++) {
    for (let n = 0; n < N; n++, from += 4) store<f32>(to + tileOffset(e, n, N), load<f32>(from))
  }
}

/** dA_log += A dA; a rate is A log2(e). */
function addDecayGradient(channels: i32, N: i32, dA: usize, rates: usize, into: usize): void {
  for (let e = 0; e < channels; e++) {
    for (let n = 0; n < N; n++, rates += 4, into += 4) {
      const A = load<f32>(rates) * <f32>0.69314718056
      store<f32>(into, load<f32>(into) + A * load<f32>(dA + tileOffset(e, n, N)))
    }
  }
}

/** Packs up to WIDTH channels; those past `count` in the last 8 become zero. */
function pack(
  rows: i32, count: i32, u: usize, uStep: i32, dt: usize, dtStep: i32, z: usize, zStep: i32, dy: usize, dyStep: i32,
  bias: usize, useSoftplus: i32, to: usize,
): void {
  const channels = min(WIDTH, (count + 7) & -8)
  for (let t = 0; t < rows; t++, to += RECORD) {
    let j = 0
    // Four vectors a turn, because V8 makes the constants anew in every turn.
    for (; j + 16 <= count && j < channels; j += 16) {
      const at = j << 2
      const record = to + (j >> 3) * NEXT
      packPart(at, 4, u, dt, z, dy, bias, useSoftplus, record)
      packPart(at + 16, 4, u, dt, z, dy, bias, useSoftplus, record + 16)
      packPart(at + 32, 4, u, dt, z, dy, bias, useSoftplus, record + NEXT)
      packPart(at + 48, 4, u, dt, z, dy, bias, useSoftplus, record + NEXT + 16)
    }
    for (; j < channels; j += 4) {
      const record = to + (j >> 3) * NEXT + ((j & 4) << 2)
      if (j < count) packPart(j << 2, count - j, u, dt, z, dy, bias, useSoftplus, record)
      else for (let i: usize = 0; i < RECORD; i += 32) v128.store(record + i, f32x4.splat(0))
    }
    u += uStep
    dt += dtStep
    dy += dyStep
    if (z) z += zStep
  }
}

// @ts-ignore: decorator
@inline
function packPart(
  at: usize, width: i32, u: usize, dt: usize, z: usize, dy: usize, bias: usize, useSoftplus: i32, record: usize,
): void {
  let delta = f32x4.add(loadPart(dt + at, width), loadPart(bias + at, width))
  const one = f32x4.splat(1)
  let slope = one
  if (useSoftplus) {
    // The slope of softplus is the sigmoid, from the same e^-|x|.
    const e = expOfMinusAbs(delta)
    slope = f32x4.div(v128.bitselect(e, one, f32x4.lt(delta, f32x4.splat(0))), f32x4.add(one, e))
    delta = softplusOf(delta, e)
  }
  const d = loadPart(dy + at, width)
  let gated = d
  if (z) {
    const gate = loadPart(z + at, width)
    const s = sigmoid(gate)
    gated = f32x4.mul(d, f32x4.mul(gate, s))
    v128.store(record, f32x4.mul(d, siluSlopeOf(gate, s)), GATE_SLOPE)
  }
  v128.store(record, delta, DELTA)
  v128.store(record, f32x4.mul(delta, loadPart(u + at, width)), INPUT)
  v128.store(record, gated, GATED)
  v128.store(record, slope, STEP_SLOPE)
}

/** The decays of two states of eight channels, four rows a turn: V8 makes the constants of `decay` anew in every turn. */
function decays(rows: i32, packed: usize, rates: usize, trace: usize): void {
  const r0 = v128.load(rates), r1 = v128.load(rates, 16), r2 = v128.load(rates, 32), r3 = v128.load(rates, 48)
  for (; rows > 0; rows -= 4, packed += 4 * RECORD, trace += 4 * STEP) {
    decayRow(packed, r0, r1, r2, r3, trace)
    decayRow(packed + RECORD, r0, r1, r2, r3, trace + STEP)
    decayRow(packed + 2 * RECORD, r0, r1, r2, r3, trace + 2 * STEP)
    decayRow(packed + 3 * RECORD, r0, r1, r2, r3, trace + 3 * STEP)
  }
}

// @ts-ignore: decorator
@inline
function decayRow(packed: usize, r0: v128, r1: v128, r2: v128, r3: v128, trace: usize): void {
  // Loaded anew after every store: V8 does not move a load past a store, and would otherwise run all four at once, with too few registers.
  v128.store(trace, decay(f32x4.mul(v128.load(packed, DELTA), r0)))
  v128.store(trace, decay(f32x4.mul(v128.load(packed, DELTA + 16), r1)), 16)
  v128.store(trace, decay(f32x4.mul(v128.load(packed, DELTA), r2)), 32)
  v128.store(trace, decay(f32x4.mul(v128.load(packed, DELTA + 16), r3)), 48)
}

/** Two states of eight channels over the rows. rates and h: [2, 8]. */
function forward(rows: i32, packed: usize, b: usize, bStep: i32, rates: usize, h: usize, trace: usize): void {
  decays(rows, packed, rates, trace)
  let h0 = v128.load(h), h1 = v128.load(h, 16), h2 = v128.load(h, 32), h3 = v128.load(h, 48)
  for (let t = 0; t < rows; t++, packed += RECORD, b += bStep, trace += STEP) {
    const low = v128.load(packed, INPUT), high = v128.load(packed, INPUT + 16)
    const first = v128.load32_splat(b), second = v128.load32_splat(b, 4)
    v128.store(trace, h0, 64)
    v128.store(trace, h1, 80)
    v128.store(trace, h2, 96)
    v128.store(trace, h3, 112)
    h0 = madd(v128.load(trace), h0, f32x4.mul(low, first))
    h1 = madd(v128.load(trace, 16), h1, f32x4.mul(high, first))
    h2 = madd(v128.load(trace, 32), h2, f32x4.mul(low, second))
    h3 = madd(v128.load(trace, 48), h3, f32x4.mul(high, second))
  }
  v128.store(trace, h0, 64)
  v128.store(trace, h1, 80)
  v128.store(trace, h2, 96)
  v128.store(trace, h3, 112)
}

/** at += a b + c d, or the first of such sums. */
// @ts-ignore: decorator
@inline
function addTwo(at: usize, a: v128, b: v128, c: v128, d: v128, first: bool = false): void {
  v128.store(at, madd(a, b, first ? f32x4.mul(c, d) : madd(c, d, v128.load(at))))
}

/** The same tile back over the rows; dh and dA [2, 8] like h. */
function backward(
  rows: i32, packed: usize, b: usize, bStep: i32, c: usize, cStep: i32, rates: usize, dh: usize, dA: usize, partial: usize, trace: usize,
): void {
  backwardTile(rows, packed, b, bStep, c, cStep, rates, dh, dA, partial, trace, false)
}

/** For the first two states of a channel: the packed sums begin. */
function backwardFirst(
  rows: i32, packed: usize, b: usize, bStep: i32, c: usize, cStep: i32, rates: usize, dh: usize, dA: usize, partial: usize, trace: usize,
): void {
  backwardTile(rows, packed, b, bStep, c, cStep, rates, dh, dA, partial, trace, true)
}

// @ts-ignore: decorator
@inline
function backwardTile(
  rows: i32, packed: usize, b: usize, bStep: i32, c: usize, cStep: i32, rates: usize, dh: usize, dA: usize, partial: usize, trace: usize,
  first: bool,
): void {
  const r0 = v128.load(rates), r1 = v128.load(rates, 16), r2 = v128.load(rates, 32), r3 = v128.load(rates, 48)
  let g0 = v128.load(dh), g1 = v128.load(dh, 16), g2 = v128.load(dh, 32), g3 = v128.load(dh, 48)
  let a0 = v128.load(dA), a1 = v128.load(dA, 16), a2 = v128.load(dA, 32), a3 = v128.load(dA, 48)
  trace += rows * STEP
  let h0 = v128.load(trace, 64), h1 = v128.load(trace, 80), h2 = v128.load(trace, 96), h3 = v128.load(trace, 112)
  packed += rows * RECORD
  partial += rows * PARTIAL
  b += rows * bStep
  c += rows * cStep
  for (let t = 0; t < rows; t++) {
    packed -= RECORD
    partial -= PARTIAL
    trace -= STEP
    b -= bStep
    c -= cStep
    const firstC = v128.load32_splat(c), secondC = v128.load32_splat(c, 4)
    const lowY = v128.load(packed, GATED), highY = v128.load(packed, GATED + 16)
    addTwo(partial + 32, lowY, h0, highY, h1)
    addTwo(partial + 48, lowY, h2, highY, h3)
    addTwo(packed + SUM_C, h0, firstC, h2, secondC, first)
    addTwo(packed + SUM_C + 16, h1, firstC, h3, secondC, first)
    g0 = madd(lowY, firstC, g0)
    g1 = madd(highY, firstC, g1)
    g2 = madd(lowY, secondC, g2)
    g3 = madd(highY, secondC, g3)
    const lowX = v128.load(packed, INPUT), highX = v128.load(packed, INPUT + 16)
    addTwo(partial, lowX, g0, highX, g1)
    addTwo(partial + 16, lowX, g2, highX, g3)
    const firstB = v128.load32_splat(b), secondB = v128.load32_splat(b, 4)
    addTwo(packed + SUM_B, g0, firstB, g2, secondB, first)
    addTwo(packed + SUM_B + 16, g1, firstB, g3, secondB, first)
    h0 = v128.load(trace, 64)
    h1 = v128.load(trace, 80)
    h2 = v128.load(trace, 96)
    h3 = v128.load(trace, 112)
    g0 = f32x4.mul(g0, v128.load(trace))
    g1 = f32x4.mul(g1, v128.load(trace, 16))
    g2 = f32x4.mul(g2, v128.load(trace, 32))
    g3 = f32x4.mul(g3, v128.load(trace, 48))
    const q0 = f32x4.mul(g0, h0), q1 = f32x4.mul(g1, h1), q2 = f32x4.mul(g2, h2), q3 = f32x4.mul(g3, h3)
    addTwo(packed + SUM_A, q0, r0, q2, r2, first)
    addTwo(packed + SUM_A + 16, q1, r1, q3, r3, first)
    const low = v128.load(packed, DELTA), high = v128.load(packed, DELTA + 16)
    a0 = madd(q0, low, a0)
    a1 = madd(q1, high, a1)
    a2 = madd(q2, low, a2)
    a3 = madd(q3, high, a3)
  }
  v128.store(dh, g0)
  v128.store(dh, g1, 16)
  v128.store(dh, g2, 32)
  v128.store(dh, g3, 48)
  v128.store(dA, a0)
  v128.store(dA, a1, 16)
  v128.store(dA, a2, 32)
  v128.store(dA, a3, 48)
}

/** The partial sums of two pairs of states, each summed over its lanes, are added to dB and dC. */
function foldPartials(rows: i32, N: i32, partials: usize, dB: usize, dBStep: i32, dC: usize, dCStep: i32): void {
  for (let t = 0; t < rows; t++, partials += PARTIAL, dB += dBStep, dC += dCStep) {
    let first = partials
    for (let n = 0; n < N; n += 4) {
      const second = first + BLOCK * PARTIAL
      addPart(dB + (n << 2), 4, sums4(v128.load(first), v128.load(first, 16), v128.load(second), v128.load(second, 16)))
      addPart(dC + (n << 2), 4, sums4(v128.load(first, 32), v128.load(first, 48), v128.load(second, 32), v128.load(second, 48)))
      first = second + BLOCK * PARTIAL
    }
  }
}

/** From the sums over the states to du, ddt, dz, dD and ddtBias. */
function finish(
  rows: i32, count: i32, packed: usize, u: usize, uStep: i32, D: usize,
  du: usize, duStep: i32, ddt: usize, ddtStep: i32, dz: usize, dzStep: i32, fresh: i32, dD: usize, ddtBias: usize,
): void {
  const channels = min(WIDTH, count)
  memory.fill(packed + TOTAL_D, 0, WIDTH * 8)
  for (let t = 0, row = packed; t < rows; t++, row += RECORD) {
    if (fresh) {
      // Right before they are added to, when they are in the nearest cache.
      memory.fill(du, 0, channels << 2)
      memory.fill(ddt, 0, channels << 2)
      memory.fill(dz, 0, channels << 2)
    }
    let j = 0
    let record = row
    for (; j + 8 <= channels; j += 8, record += NEXT) {
      finishPart(j << 2, 4, packed, record, u, D, du, ddt, dz)
      finishPart((j << 2) + 16, 4, packed, record + 16, u, D, du, ddt, dz)
    }
    for (; j < channels; j += 4) finishPart(j << 2, channels - j, packed, record + ((j & 4) << 2), u, D, du, ddt, dz)
    u += uStep
    du += duStep
    ddt += ddtStep
    dz += dzStep
  }
  for (let j = 0; j < channels; j += 4) {
    const at = j << 2
    addPart(dD + at, channels - j, v128.load(packed + at, TOTAL_D))
    addPart(ddtBias + at, channels - j, v128.load(packed + at, TOTAL_STEP))
  }
}

// @ts-ignore: decorator
@inline
function finishPart(at: usize, width: i32, packed: usize, record: usize, u: usize, D: usize, du: usize, ddt: usize, dz: usize): void {
  const skip = loadPart(D + at, width)
  const ut = loadPart(u + at, width)
  const g = v128.load(record, GATED)
  const sumB = v128.load(record, SUM_B)
  const total = packed + at
  v128.store(total, madd(g, ut, v128.load(total, TOTAL_D)), TOTAL_D)
  addPart(du + at, width, madd(g, skip, f32x4.mul(v128.load(record, DELTA), sumB)))
  const dDelta = madd(ut, sumB, f32x4.mul(f32x4.splat(0.69314718056), v128.load(record, SUM_A)))
  const d = f32x4.mul(dDelta, v128.load(record, STEP_SLOPE))
  v128.store(total, f32x4.add(d, v128.load(total, TOTAL_STEP)), TOTAL_STEP)
  addPart(ddt + at, width, d)
  addPart(dz + at, width, f32x4.mul(madd(skip, ut, v128.load(record, SUM_C)), v128.load(record, GATE_SLOPE)))
}
