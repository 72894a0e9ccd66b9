// Gradient of the gated delta rule, one segment per call, rows in reading order. Four columns of values of a head at a time go forward and
// keep their states [K, 4] before each block of rows; then the blocks, the last first, go forward once more, leaving every state, and back.
import { deltaFactors } from './gated-delta'
import { exp, load1, loadPart, madd, sigmoid, softplus, sum4 } from './math-grad'
import { addPart } from './rows-grad'

/** Rows of a block. */
// @ts-ignore: decorator
@inline
const BLOCK: i32 = 64

/** Of a head: decay, beta and the gradients of both for every row; states before each block, around each row of one, and their gradient. */
export function deltaGradScratch(rows: i32, K: i32): i32 {
  return rows * 16 + ((rows + BLOCK - 1) / BLOCK + BLOCK + 2) * K * 16
}

/** All outputs are added to. */
export function deltaGrad(
  rows: i32, H: i32, G: i32, K: i32, V: i32, q: usize, qStep: i32, k: usize, kStep: i32, v: usize, vStep: i32, dt: usize, dtStep: i32,
  beta: usize, betaStep: i32, A_log: usize, dtBias: usize, dy: usize, dyStep: i32, dq: usize, dqStep: i32, dk: usize, dkStep: i32,
  dv: usize, dvStep: i32, ddt: usize, ddtStep: i32, dbeta: usize, dbetaStep: i32, dA_log: usize, ddtBias: usize, scratch: usize,
): void {
  const state: usize = K * 16
  const sums = scratch + rows * 8
  const adjoint = sums + rows * 8
  const trace = adjoint + state
  const kept = trace + (BLOCK + 1) * state
  for (let head = 0; head < H; head++) {
    const key = (head * G / H * K) << 2
    const one = head << 2
    deltaFactors(rows, dt + one, dtStep, beta + one, betaStep, A_log + one, dtBias + one, scratch)
    memory.fill(sums, 0, rows * 8)
    for (let p = 0; p < V; p += 4) {
      const at = (head * V + p) << 2
      const width = min(4, V - p)
      memory.fill(adjoint, 0, 2 * state)
      for (let t = 0; t < rows; t += BLOCK) {
        const length = min(BLOCK, rows - t)
        memory.copy(kept + t / BLOCK * state, trace, state)
        forward(length, K, width, k + t * kStep + key, kStep, v + t * vStep + at, vStep, scratch + t * 8, trace)
        memory.copy(trace, trace + length * state, state)
      }
      for (let block = (rows - 1) / BLOCK; block >= 0; block--) {
        const t = block * BLOCK
        const length = min(BLOCK, rows - t)
        memory.copy(trace, kept + block * state, state)
        forward(length, K, width, k + t * kStep + key, kStep, v + t * vStep + at, vStep, scratch + t * 8, trace)
        backward(length, K, width, q + t * qStep + key, qStep, k + t * kStep + key, kStep, v + t * vStep + at, vStep, scratch + t * 8,
          dy + t * dyStep + at, dyStep, trace, adjoint, dq + t * dqStep + key, dqStep, dk + t * dkStep + key, dkStep,
          dv + t * dvStep + at, dvStep, sums + t * 8)
      }
    }
    finish(rows, dt + one, dtStep, A_log + one, dtBias + one, scratch, sums, ddt + one, ddtStep, dbeta + one, dbetaStep, dA_log + one, ddtBias + one)
  }
}

/** k S of the columns. */
// @ts-ignore: decorator
@inline
function read(K: i32, k: usize, states: usize): v128 {
  let sum = f32x4.splat(0)
  for (let i = 0; i < K; i++) sum = madd(v128.load32_splat(k + (i << 2)), v128.load(states + (i << 4)), sum)
  return sum
}

/** trace: the states before every row and after the last; the first is there. */
function forward(
  rows: i32, K: i32, width: i32, k: usize, kStep: i32, v: usize, vStep: i32, factors: usize, trace: usize,
): void {
  for (let t = 0; t < rows; t++, k += kStep, v += vStep, factors += 8) {
    const a = v128.load32_splat(factors)
    const written = f32x4.mul(v128.load32_splat(factors, 4), f32x4.sub(loadPart(v, width), f32x4.mul(a, read(K, k, trace))))
    const after = trace + K * 16
    for (let i = 0; i < K; i++)
      v128.store(after + (i << 4), madd(v128.load32_splat(k + (i << 2)), written, f32x4.mul(a, v128.load(trace + (i << 4)))))
    trace = after
  }
}

/** Adds to dq, dk and dv, and to the gradients of decay and beta of each row in `sums`. */
function backward(
  rows: i32, K: i32, width: i32, q: usize, qStep: i32, k: usize, kStep: i32, v: usize, vStep: i32, factors: usize, dy: usize, dyStep: i32,
  trace: usize, adjoint: usize, dq: usize, dqStep: i32, dk: usize, dkStep: i32, dv: usize, dvStep: i32, sums: usize,
): void {
  for (let t = rows - 1; t >= 0; t--) {
    const a = v128.load32_splat(factors + t * 8)
    const beta = v128.load32_splat(factors + t * 8, 4)
    const before = trace + t * K * 16
    const after = before + K * 16
    const key = k + t * kStep, query = q + t * qStep
    const g = loadPart(dy + t * dyStep, width)
    let ofWritten = f32x4.splat(0)
    for (let i = 0; i < K; i++) {
      const d = madd(v128.load32_splat(query + (i << 2)), g, v128.load(adjoint + (i << 4)))
      v128.store(adjoint + (i << 4), d)
      ofWritten = madd(v128.load32_splat(key + (i << 2)), d, ofWritten)
      addNumber(dq + t * dqStep + (i << 2), sum4(f32x4.mul(v128.load(after + (i << 4)), g)))
    }
    const error = f32x4.sub(loadPart(v + t * vStep, width), f32x4.mul(a, read(K, key, before)))
    const written = f32x4.mul(beta, error)
    const ofValue = f32x4.mul(beta, ofWritten)
    addPart(dv + t * dvStep, width, ofValue)
    const ofKnown = f32x4.mul(a, ofValue)
    let ofDecay = f32x4.splat(0)
    for (let i = 0; i < K; i++) {
      const d = v128.load(adjoint + (i << 4)), s = v128.load(before + (i << 4))
      addNumber(dk + t * dkStep + (i << 2), sum4(f32x4.sub(f32x4.mul(d, written), f32x4.mul(ofKnown, s))))
      const ofDecayed = f32x4.sub(d, f32x4.mul(v128.load32_splat(key + (i << 2)), ofValue))
      ofDecay = madd(ofDecayed, s, ofDecay)
      v128.store(adjoint + (i << 4), f32x4.mul(a, ofDecayed))
    }
    addNumber(sums + t * 8, sum4(ofDecay))
    addNumber(sums + t * 8 + 4, sum4(f32x4.mul(ofWritten, error)))
  }
}

// @ts-ignore: decorator
@inline
function addNumber(at: usize, x: f32): void {
  store<f32>(at, load<f32>(at) + x)
}

/** From the gradients of decay and beta to those of what they are made from. */
function finish(
  rows: i32, dt: usize, dtStep: i32, A_log: usize, dtBias: usize, factors: usize, sums: usize, ddt: usize, ddtStep: i32,
  dbeta: usize, dbetaStep: i32, dA_log: usize, ddtBias: usize,
): void {
  const A = -f32x4.extract_lane(exp(load1(A_log)), 0)
  for (let t = 0; t < rows; t++, dt += dtStep, factors += 8, sums += 8, ddt += ddtStep, dbeta += dbetaStep) {
    const raw = f32x4.add(load1(dt), load1(dtBias))
    const ofLog = load<f32>(sums) * load<f32>(factors) * A
    addNumber(dA_log, ofLog * f32x4.extract_lane(softplus(raw), 0))
    const d = ofLog * f32x4.extract_lane(sigmoid(raw), 0)
    addNumber(ddt, d)
    addNumber(ddtBias, d)
    const beta = load<f32>(factors, 4)
    addNumber(dbeta, load<f32>(sums, 4) * beta * (1 - beta))
  }
}
