// The recurrence of Mamba-3, one segment per call: S = decay S + before v' k'^T + now v k^T, y = S q + D v, where v' and k' are of the row before.
// A head after the other, so that its state stays in the nearest cache. Lanes are states. `factors` [rows, H, 3]: decay, before, now.
import { loadPart, madd, storePart, sum4 } from './math-grad'
import { addPart } from './rows-grad'

/** Rows of a block of the gradient. */
// @ts-ignore: decorator
@inline
const BLOCK: i32 = 64

/** Bytes of the states of a head: those before every block, and those around every row of one. */
export function trapezoidBlocks(rows: i32, P: i32, N: i32): i32 {
  return ((rows + BLOCK - 1) / BLOCK + BLOCK + 2) * P * N * 4
}

/** One row of a head: from `h` [P, N] to `to`, which may be the same. With an address of y it is written: sums over the states, and skip v. */
// @ts-ignore: decorator
@inline
function advance(
  P: i32, N: i32, factors: usize, pastV: usize, pastK: usize, v: usize, k: usize, h: usize, to: usize, q: usize, skip: f32, y: usize,
): void {
  const decay = v128.load32_splat(factors)
  const before = load<f32>(factors + 4), now = load<f32>(factors + 8)
  for (let p = 0; p < P; p++, h += N << 2, to += N << 2) {
    const value = load<f32>(v + (p << 2))
    const past = f32x4.splat(before * load<f32>(pastV + (p << 2))), input = f32x4.splat(now * value)
    let sum = f32x4.splat(0)
    for (let n = 0; n < N; n += 4) {
      const at = n << 2, count = N - n
      const given = madd(input, loadPart(k + at, count), f32x4.mul(past, loadPart(pastK + at, count)))
      const state = madd(decay, loadPart(h + at, count), given)
      storePart(to + at, count, state)
      if (y) sum = madd(state, loadPart(q + at, count), sum)
    }
    if (y) store<f32>(y + (p << 2), sum4(sum) + skip * value)
  }
}

/** h: [H P, N], the state, and lastV [H P], lastK [H N], values and keys of the row before, in place. */
export function trapezoidRows(
  rows: i32, H: i32, P: i32, N: i32, v: usize, vStep: i32, k: usize, kStep: i32, q: usize, qStep: i32, factors: usize, D: usize,
  h: usize, lastV: usize, lastK: usize, out: usize, outStep: i32,
): void {
  for (let head = 0; head < H; head++) {
    const ofV = head * P << 2, ofK = head * N << 2
    const skip = load<f32>(D + (head << 2))
    const state = h + ofV * N
    let pastV = lastV + ofV, pastK = lastK + ofK
    for (let t = 0; t < rows; t++) {
      const value = v + t * vStep + ofV, key = k + t * kStep + ofK
      advance(P, N, factors + (t * H + head) * 12, pastV, pastK, value, key, state, state, q + t * qStep + ofK, skip, out + t * outStep + ofV)
      pastV = value
      pastK = key
    }
  }
  if (rows == 0) return
  memory.copy(lastV, v + (rows - 1) * vStep, H * P << 2)
  memory.copy(lastK, k + (rows - 1) * kStep, H * N << 2)
}

/**
 * The gradient of a segment that starts from zero. Adds to dv, dk, dq and dD; dfactors [rows, H, 3] are written. nothing: zeros for the row before
 * the first, [max(P, N)]; adjoint [P, N]; room: `trapezoidBlocks`.
 */
export function trapezoidGrad(
  rows: i32, H: i32, P: i32, N: i32, v: usize, vStep: i32, k: usize, kStep: i32, q: usize, qStep: i32, factors: usize, D: usize,
  dy: usize, dyStep: i32, dv: usize, dvStep: i32, dk: usize, dkStep: i32, dq: usize, dqStep: i32, dD: usize, dfactors: usize,
  nothing: usize, adjoint: usize, room: usize,
): void {
  const bytes = P * N << 2
  const blocks = (rows + BLOCK - 1) / BLOCK
  const trace = room + (blocks + 1) * bytes
  for (let head = 0; head < H; head++) {
    const ofV = head * P << 2, ofK = head * N << 2
    // The states before the blocks, one after the other, each from the one before it.
    memory.fill(room, 0, bytes)
    for (let block = 0; block + 1 < blocks; block++) {
      const next = room + (block + 1) * bytes
      memory.copy(next, room + block * bytes, bytes)
      for (let t = block * BLOCK; t < (block + 1) * BLOCK; t++) {
        const pastV = t ? v + (t - 1) * vStep + ofV : nothing, pastK = t ? k + (t - 1) * kStep + ofK : nothing
        advance(P, N, factors + (t * H + head) * 12, pastV, pastK, v + t * vStep + ofV, k + t * kStep + ofK, next, next, 0, 0, 0)
      }
    }
    memory.fill(adjoint, 0, bytes)
    for (let block = blocks - 1; block >= 0; block--) {
      const first = block * BLOCK, end = min(rows, first + BLOCK)
      memory.copy(trace, room + block * bytes, bytes)
      for (let t = first; t < end; t++) {
        const pastV = t ? v + (t - 1) * vStep + ofV : nothing, pastK = t ? k + (t - 1) * kStep + ofK : nothing
        const from = trace + (t - first) * bytes
        advance(P, N, factors + (t * H + head) * 12, pastV, pastK, v + t * vStep + ofV, k + t * kStep + ofK, from, from + bytes, 0, 0, 0)
      }
      for (let t = end - 1; t >= first; t--) {
        const at = (t * H + head) * 12
        backward(t > 0, P, N, factors + at, v + t * vStep + ofV, vStep, k + t * kStep + ofK, kStep, q + t * qStep + ofK,
          dy + t * dyStep + ofV, dv + t * dvStep + ofV, dvStep, dk + t * dkStep + ofK, dkStep, dq + t * dqStep + ofK,
          load<f32>(D + (head << 2)), dD + (head << 2), dfactors + at, trace + (t - first) * bytes, adjoint)
      }
    }
  }
}

/** One row of a head, back. before: the states before the row, those after it behind them. */
function backward(
  hasPast: bool, P: i32, N: i32, factors: usize, v: usize, vStep: i32, k: usize, kStep: i32, q: usize, dy: usize, dv: usize, dvStep: i32,
  dk: usize, dkStep: i32, dq: usize, skip: f32, dD: usize, dfactors: usize, before: usize, adjoint: usize,
): void {
  const decay = v128.load32_splat(factors)
  const ofPast = load<f32>(factors + 4), ofRow = load<f32>(factors + 8)
  const after = P * N << 2
  let dDecay = f32x4.splat(0)
  let dPast: f32 = 0, dNow: f32 = 0, dSkip: f32 = 0
  for (let p = 0; p < P; p++, before += N << 2, adjoint += N << 2) {
    const column = p << 2
    const g = load<f32>(dy + column), value = load<f32>(v + column)
    const past: f32 = hasPast ? load<f32>(v - vStep + column) : 0
    const gs = f32x4.splat(g), input = f32x4.splat(ofRow * value), pastInput = f32x4.splat(ofPast * past)
    let alongK = f32x4.splat(0), alongPast = f32x4.splat(0)
    for (let n = 0; n < N; n += 4) {
      const at = n << 2, count = N - n
      const d = madd(gs, loadPart(q + at, count), loadPart(adjoint + at, count))
      addPart(dq + at, count, f32x4.mul(gs, loadPart(before + after + at, count)))
      addPart(dk + at, count, f32x4.mul(d, input))
      alongK = madd(d, loadPart(k + at, count), alongK)
      if (hasPast) {
        addPart(dk - dkStep + at, count, f32x4.mul(d, pastInput))
        alongPast = madd(d, loadPart(k - kStep + at, count), alongPast)
      }
      dDecay = madd(d, loadPart(before + at, count), dDecay)
      storePart(adjoint + at, count, f32x4.mul(d, decay))
    }
    const sumK = sum4(alongK), sumPast = sum4(alongPast)
    store<f32>(dv + column, load<f32>(dv + column) + ofRow * sumK + skip * g)
    if (hasPast) store<f32>(dv - dvStep + column, load<f32>(dv - dvStep + column) + ofPast * sumPast)
    dNow += value * sumK
    dPast += past * sumPast
    dSkip += g * value
  }
  store<f32>(dfactors, sum4(dDecay))
  store<f32>(dfactors + 4, dPast)
  store<f32>(dfactors + 8, dNow)
  store<f32>(dD, load<f32>(dD) + dSkip)
}
