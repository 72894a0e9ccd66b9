// Gradient of SSD, one segment per call, rows in reading order. Blocks of rows, the last first, each from the state that the forward pass
// kept for it; of a block, four channels of a head go forward, leaving every state, and straight back. Lanes are states, so that dB and dC
// add up as vectors, in padded rows of the block, over all channels of the group.
import { decay, expOfMinusAbs, loadPart, madd, softplusOf, sum4, sums4 } from './math-grad'
import { addPart } from './rows-grad'
import { BLOCK, ssdSteps } from './ssd'

// @ts-ignore: decorator
@inline
function padded(N: i32): i32 {
  return ((N + 3) & -4) << 2
}

/** Bytes: steps, decays and two sums [H, BLOCK] each; B, C, dB and dC of a group [BLOCK, N]; states of four channels around every row, [4, N]; a row. */
export function ssdGradScratch(H: i32, N: i32): i32 {
  return 4 * H * BLOCK * 4 + (4 * BLOCK + 4 * (BLOCK + 1) + 1) * padded(N)
}

/**
 * kept: as ssdRows leaves it. adjoint: [H P, N] in rows padded to a multiple of four states, the gradient of the last state, which
 * becomes that of the first. All outputs are added to.
 */
export function ssdGrad(
  rows: i32, H: i32, P: i32, G: i32, N: i32, x: usize, xStep: i32, dt: usize, dtStep: i32, b: usize, bStep: i32, c: usize, cStep: i32,
  A_log: usize, D: usize, dtBias: usize, least: f32, most: f32, kept: usize, dy: usize, dyStep: i32, adjoint: usize,
  dx: usize, dxStep: i32, ddt: usize, ddtStep: i32, dB: usize, dBStep: i32, dC: usize, dCStep: i32,
  dA_log: usize, dD: usize, ddtBias: usize, scratch: usize,
): void {
  const width = padded(N)
  const perHead = H * BLOCK * 4
  const perGroup = BLOCK * width
  const deltas = scratch, decays = scratch + perHead, ofInput = scratch + 2 * perHead
  const packed = scratch + 4 * perHead
  const trace = packed + 4 * perGroup
  const nothing = trace + 4 * (BLOCK + 1) * width
  memory.fill(nothing, 0, width)
  for (let k = (rows - 1) / BLOCK; k >= 0; k--) {
    const t = k * BLOCK
    const length = min(BLOCK, rows - t)
    ssdSteps(length, H, dt + t * dtStep, dtStep, A_log, dtBias, least, most, deltas, decays)
    memory.fill(ofInput, 0, 2 * perHead)
    for (let head = 0; head < H; head++) {
      const group = head * G / H
      const states = group * N * 4
      if (head == 0 || (head - 1) * G / H != group) {
        padRows(length, N, b + t * bStep + states, bStep, packed)
        padRows(length, N, c + t * cStep + states, cStep, packed + perGroup)
        memory.fill(packed + 2 * perGroup, 0, 2 * perGroup)
      }
      const first = head * BLOCK * 4
      for (let p = 0; p < P; p += 4) {
        const channel = head * P + p
        const at = channel << 2
        const count = min(4, P - p)
        forward(length, count, N, width, x + t * xStep + at, xStep, deltas + first, decays + first, packed, kept + (k * H * P + channel) * N * 4, trace)
        backward(length, count, width, x + t * xStep + at, xStep, dy + t * dyStep + at, dyStep, deltas + first, decays + first, packed, trace,
          adjoint + channel * width, nothing, load<f32>(D + (head << 2)), dx + t * dxStep + at, dxStep, ofInput + first, perHead, dD + (head << 2))
      }
      if (head + 1 == H || (head + 1) * G / H != group) {
        addRows(length, N, packed + 2 * perGroup, width, dB + t * dBStep + states, dBStep)
        addRows(length, N, packed + 3 * perGroup, width, dC + t * dCStep + states, dCStep)
      }
    }
    finish(length, H, dt + t * dtStep, dtStep, A_log, dtBias, least, most, deltas, ofInput, perHead, ddt + t * ddtStep, ddtStep, dA_log, ddtBias)
  }
}

/** [rows, N] with zeros up to a multiple of four. */
function padRows(rows: i32, N: i32, from: usize, step: i32, to: usize): void {
  for (let t = 0; t < rows; t++, from += step)
    for (let n = 0; n < N; n += 4, to += 16) v128.store(to, loadPart(from + (n << 2), N - n))
}

function addRows(rows: i32, N: i32, from: usize, width: i32, to: usize, step: i32): void {
  for (let t = 0; t < rows; t++, from += width, to += step)
    for (let n = 0; n < N; n += 4) addPart(to + (n << 2), N - n, v128.load(from + (n << 2)))
}

/** trace: the states of up to four channels, [4, N] before every row and after the last; those of channels that are not there stay zero. */
function forward(
  rows: i32, count: i32, N: i32, width: i32, x: usize, xStep: i32, deltas: usize, decays: usize, b: usize, kept: usize, trace: usize,
): void {
  memory.fill(trace, 0, 4 * width)
  for (let i = 0; i < count; i++) padRows(1, N, kept + i * N * 4, 0, trace + i * width)
  for (let t = 0; t < rows; t++, x += xStep, deltas += 4, decays += 4) {
    const a = v128.load32_splat(decays)
    const inputs = f32x4.mul(loadPart(x, count), v128.load32_splat(deltas))
    const x0 = v128.shuffle<f32>(inputs, inputs, 0, 0, 0, 0), x1 = v128.shuffle<f32>(inputs, inputs, 1, 1, 1, 1)
    const x2 = v128.shuffle<f32>(inputs, inputs, 2, 2, 2, 2), x3 = v128.shuffle<f32>(inputs, inputs, 3, 3, 3, 3)
    for (let n = 0; n < width; n += 16, b += 16, trace += 16) {
      const states = v128.load(b)
      const after = trace + 4 * width
      v128.store(after, madd(a, v128.load(trace), f32x4.mul(x0, states)))
      v128.store(after + width, madd(a, v128.load(trace + width), f32x4.mul(x1, states)))
      v128.store(after + 2 * width, madd(a, v128.load(trace + 2 * width), f32x4.mul(x2, states)))
      v128.store(after + 3 * width, madd(a, v128.load(trace + 3 * width), f32x4.mul(x3, states)))
    }
    trace += 3 * width
  }
}

/**
 * Adds to dx and dD, to dB and dC of the block (after B and C in `packed`), and to the sums over channels and states of each row: dh B x,
 * and dh decay h, `apart` bytes after it.
 */
function backward(
  rows: i32, count: i32, width: i32, x: usize, xStep: i32, dy: usize, dyStep: i32, deltas: usize, decays: usize, packed: usize, trace: usize,
  adjoint: usize, nothing: usize, skip: f32, dx: usize, dxStep: i32, ofInput: usize, apart: i32, dD: usize,
): void {
  const d0 = adjoint
  const d1 = count > 1 ? adjoint + width : nothing
  const d2 = count > 2 ? adjoint + 2 * width : nothing
  const d3 = count > 3 ? adjoint + 3 * width : nothing
  const perGroup = BLOCK * width
  let ofD = f32x4.splat(0)
  for (let t = rows - 1; t >= 0; t--) {
    const a = v128.load32_splat(decays + (t << 2))
    const step = v128.load32_splat(deltas + (t << 2))
    const xs = loadPart(x + t * xStep, count)
    const inputs = f32x4.mul(xs, step)
    const g = loadPart(dy + t * dyStep, count)
    const x0 = v128.shuffle<f32>(inputs, inputs, 0, 0, 0, 0), x1 = v128.shuffle<f32>(inputs, inputs, 1, 1, 1, 1)
    const x2 = v128.shuffle<f32>(inputs, inputs, 2, 2, 2, 2), x3 = v128.shuffle<f32>(inputs, inputs, 3, 3, 3, 3)
    const g0 = v128.shuffle<f32>(g, g, 0, 0, 0, 0), g1 = v128.shuffle<f32>(g, g, 1, 1, 1, 1)
    const g2 = v128.shuffle<f32>(g, g, 2, 2, 2, 2), g3 = v128.shuffle<f32>(g, g, 3, 3, 3, 3)
    let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0, q = s0
    let row = packed + t * width
    let before = trace + 4 * t * width
    for (let n = 0; n < width; n += 16, row += 16, before += 16) {
      const b = v128.load(row), c = v128.load(row + perGroup)
      let db = v128.load(row + 2 * perGroup), dc = v128.load(row + 3 * perGroup)
      const after = before + 4 * width
      let d = madd(g0, c, v128.load(d0 + n))
      s0 = madd(d, b, s0)
      db = madd(d, x0, db)
      dc = madd(g0, v128.load(after), dc)
      d = f32x4.mul(d, a)
      q = madd(d, v128.load(before), q)
      v128.store(d0 + n, d)
      d = madd(g1, c, v128.load(d1 + n))
      s1 = madd(d, b, s1)
      db = madd(d, x1, db)
      dc = madd(g1, v128.load(after + width), dc)
      d = f32x4.mul(d, a)
      q = madd(d, v128.load(before + width), q)
      v128.store(d1 + n, d)
      d = madd(g2, c, v128.load(d2 + n))
      s2 = madd(d, b, s2)
      db = madd(d, x2, db)
      dc = madd(g2, v128.load(after + 2 * width), dc)
      d = f32x4.mul(d, a)
      q = madd(d, v128.load(before + 2 * width), q)
      v128.store(d2 + n, d)
      d = madd(g3, c, v128.load(d3 + n))
      s3 = madd(d, b, s3)
      db = madd(d, x3, db)
      dc = madd(g3, v128.load(after + 3 * width), dc)
      d = f32x4.mul(d, a)
      q = madd(d, v128.load(before + 3 * width), q)
      v128.store(d3 + n, d)
      v128.store(row + 2 * perGroup, db)
      v128.store(row + 3 * perGroup, dc)
    }
    const alongB = sums4(s0, s1, s2, s3)
    addPart(dx + t * dxStep, count, madd(step, alongB, f32x4.mul(g, f32x4.splat(skip))))
    ofD = madd(g, xs, ofD)
    const to = ofInput + (t << 2)
    store<f32>(to, load<f32>(to) + sum4(f32x4.mul(alongB, xs)))
    store<f32>(to + apart, load<f32>(to + apart) + sum4(q))
  }
  store<f32>(dD, load<f32>(dD) + sum4(ofD))
}

/** From the sums of each row to ddt, ddtBias and dA_log. A step at its limit has no slope. */
function finish(
  rows: i32, H: i32, dt: usize, dtStep: i32, A_log: usize, dtBias: usize, least: f32, most: f32, deltas: usize, ofInput: usize, apart: i32,
  ddt: usize, ddtStep: i32, dA_log: usize, ddtBias: usize,
): void {
  const one = f32x4.splat(1)
  for (let head = 0; head < H; head++, dt += 4, ddt += 4, dA_log += 4, ddtBias += 4, A_log += 4, dtBias += 4) {
    const A = -f32x4.extract_lane(decay(f32x4.mul(v128.load32_splat(A_log), f32x4.splat(1.44269504089))), 0)
    for (let t = 0; t < rows; t++) {
      const at = (head * BLOCK + t) << 2
      const ofDecay = load<f32>(ofInput + at + apart)
      store<f32>(dA_log, load<f32>(dA_log) + ofDecay * load<f32>(deltas + at) * A)
      const raw = f32x4.add(v128.load32_splat(dt + t * dtStep), v128.load32_splat(dtBias))
      const e = expOfMinusAbs(raw)
      const soft = f32x4.extract_lane(softplusOf(raw, e), 0)
      if (soft < least || soft > most) continue
      const slope = f32x4.extract_lane(f32x4.div(v128.bitselect(e, one, f32x4.lt(raw, f32x4.splat(0))), f32x4.add(one, e)), 0)
      const d = (load<f32>(ofInput + at) + ofDecay * A) * slope
      store<f32>(ddt + t * ddtStep, load<f32>(ddt + t * ddtStep) + d)
      store<f32>(ddtBias, load<f32>(ddtBias) + d)
    }
  }
}
