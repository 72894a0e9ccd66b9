// Gradient of the depthwise causal convolution, one whole segment per call, rows in reading order.
//
// Blocks of rows go from the last to the first: the gradient before the activation is kept for a block and the K - 1
// rows behind it, then dx and dWeight are each written once a block instead of once a row.
import { loadPart, madd, siluSlope, storePart } from './math-grad'
import { addPart } from './rows-grad'

// @ts-ignore: decorator
@inline
const BLOCK: i32 = 16

/** Bytes of scratch. */
export function convGradScratch(E: i32, K: i32): i32 {
  return (BLOCK + K - 1) * E * 4
}

/** dx, dWeight, dBias may be 0; bias too. fresh: dx is written, not added to. */
export function convGrad(
  rows: i32, E: i32, K: i32, x: usize, xStep: i32, weight: usize, bias: usize, activate: i32, dy: usize, dyStep: i32,
  dx: usize, dxStep: i32, fresh: i32, dWeight: usize, dWeightStep: i32, dBias: usize, scratch: usize,
): void {
  const width = E << 2
  memory.fill(scratch, 0, (K - 1) * width)
  for (let t = (rows - 1) / BLOCK * BLOCK; t >= 0; t -= BLOCK) {
    const count = min(BLOCK, rows - t)
    memory.copy(scratch + count * width, scratch, (K - 1) * width)
    const from = x + (t - (K - 1)) * xStep
    for (let r = 0; r < count; r++)
      slopes(E, max(0, K - 1 - t - r), K, from + r * xStep, xStep, weight, bias, activate, dy + (t + r) * dyStep, scratch + r * width)
    if (dx) inputs(count, E, K, scratch + (K - 1) * width, weight, dx + t * dxStep, dxStep, fresh)
    // Windows that begin before the segment have fewer rows.
    const whole = K == 4 && dWeight ? max(0, min(count, K - 1 - t)) : count
    if (dWeight) for (let r = 0; r < whole; r++) {
      for (let k = max(0, K - 1 - t - r); k < K; k++) addProduct(E, scratch + r * width, from + (r + k) * xStep, dWeight + k * dWeightStep)
    }
    if (whole < count) weights4(count - whole, E, scratch + whole * width, from + whole * xStep, xStep, dWeight, dWeightStep)
    if (dBias) sumRows(count, E, scratch, dBias)
  }
}

/** d [E] = dy times the slope of the activation at the output, which is computed again; x: the first row of the window. */
function slopes(
  E: i32, first: i32, K: i32, x: usize, xStep: i32, weight: usize, bias: usize, activate: i32, dy: usize, d: usize,
): void {
  if (!activate) {
    memory.copy(d, dy, E << 2)
    return
  }
  const width = E << 2
  let e = 0
  if (K == 4 && first == 0 && bias) {
    for (; e + 16 <= E; e += 16) {
      const at = e << 2
      slope4(x + at, xStep, weight + at, width, bias + at, dy + at, d + at)
      slope4(x + at + 16, xStep, weight + at + 16, width, bias + at + 16, dy + at + 16, d + at + 16)
      slope4(x + at + 32, xStep, weight + at + 32, width, bias + at + 32, dy + at + 32, d + at + 32)
      slope4(x + at + 48, xStep, weight + at + 48, width, bias + at + 48, dy + at + 48, d + at + 48)
    }
  }
  for (; e + 4 <= E; e += 4) slopePart(e << 2, 4, first, K, x, xStep, weight, width, bias, dy, d)
  if (e < E) slopePart(e << 2, E - e, first, K, x, xStep, weight, width, bias, dy, d)
}

/** Four channels, K = 4. */
// @ts-ignore: decorator
@inline
function slope4(x: usize, xStep: i32, weight: usize, width: i32, bias: usize, dy: usize, d: usize): void {
  let y = madd(v128.load(weight), v128.load(x), v128.load(bias))
  y = madd(v128.load(weight + width), v128.load(x + xStep), y)
  y = madd(v128.load(weight + 2 * width), v128.load(x + 2 * xStep), y)
  y = madd(v128.load(weight + 3 * width), v128.load(x + 3 * xStep), y)
  v128.store(d, f32x4.mul(v128.load(dy), siluSlope(y)))
}

// @ts-ignore: decorator
@inline
function slopePart(
  at: usize, width: i32, first: i32, K: i32, x: usize, xStep: i32, weight: usize, weightStep: i32, bias: usize, dy: usize, d: usize,
): void {
  let y = bias ? loadPart(bias + at, width) : f32x4.splat(0)
  for (let k = first; k < K; k++)
    y = madd(loadPart(weight + k * weightStep + at, width), loadPart(x + k * xStep + at, width), y)
  storePart(d + at, width, f32x4.mul(loadPart(dy + at, width), siluSlope(y)))
}

/** dx [rows, E] += sum of weight k times the row k before d, the last of the K rows that saw this input. */
function inputs(rows: i32, E: i32, K: i32, d: usize, weight: usize, dx: usize, dxStep: i32, fresh: i32): void {
  const width = E << 2
  const done = K == 4 ? E & -4 : 0
  for (let at: usize = 0, end = <usize>done << 2; at < end; at += 16) {
    const w0 = v128.load(weight + at), w1 = v128.load(weight + width + at)
    const w2 = v128.load(weight + 2 * width + at), w3 = v128.load(weight + 3 * width + at)
    let from = d + at
    let d1 = v128.load(from - width), d2 = v128.load(from - 2 * width), d3 = v128.load(from - 3 * width)
    for (let r = 0, to = dx + at; r < rows; r++, from += width, to += dxStep) {
      const d0 = v128.load(from)
      const sum = fresh ? f32x4.mul(d0, w0) : madd(d0, w0, v128.load(to))
      v128.store(to, madd(d3, w3, madd(d2, w2, madd(d1, w1, sum))))
      d3 = d2
      d2 = d1
      d1 = d0
    }
  }
  const rest = <usize>done << 2
  if (done < E) for (let r = 0; r < rows; r++, d += width, dx += dxStep) {
    if (fresh) memory.fill(dx + rest, 0, width - rest)
    for (let k = 0; k < K; k++) addProduct(E - done, d + rest - k * width, weight + rest + k * width, dx + rest)
  }
}

/** dWeight [4, E] += d of each row times the four rows of its window. */
function weights4(rows: i32, E: i32, d: usize, x: usize, xStep: i32, dWeight: usize, dWeightStep: i32): void {
  const width = E << 2
  let e = 0
  for (; e + 4 <= E; e += 4, d += 16, x += 16, dWeight += 16) {
    let w0 = v128.load(dWeight), w1 = v128.load(dWeight + dWeightStep)
    let w2 = v128.load(dWeight + 2 * dWeightStep), w3 = v128.load(dWeight + 3 * dWeightStep)
    let x0 = v128.load(x), x1 = v128.load(x + xStep), x2 = v128.load(x + 2 * xStep)
    let from = x + 3 * xStep
    for (let r = 0, at = d; r < rows; r++, at += width, from += xStep) {
      const g = v128.load(at), x3 = v128.load(from)
      w0 = madd(g, x0, w0)
      w1 = madd(g, x1, w1)
      w2 = madd(g, x2, w2)
      w3 = madd(g, x3, w3)
      x0 = x1
      x1 = x2
      x2 = x3
    }
    v128.store(dWeight, w0)
    v128.store(dWeight + dWeightStep, w1)
    v128.store(dWeight + 2 * dWeightStep, w2)
    v128.store(dWeight + 3 * dWeightStep, w3)
  }
  for (let r = 0; e < E && r < rows; r++) {
    for (let k = 0; k < 4; k++) addProduct(E - e, d + r * width, x + (r + k) * xStep, dWeight + k * dWeightStep)
  }
}

/** into [E] += every row of d. */
function sumRows(rows: i32, E: i32, d: usize, into: usize): void {
  for (let e = 0; e < E; e += 4, d += 16, into += 16) {
    let sum = f32x4.splat(0)
    for (let r = 0, at = d; r < rows; r++, at += E << 2) sum = f32x4.add(sum, loadPart(at, E - e))
    addPart(into, E - e, sum)
  }
}

/** into += a b */
// @ts-ignore: decorator
@inline
function addProduct(cols: i32, a: usize, b: usize, into: usize): void {
  let e = 0
  for (; e + 4 <= cols; e += 4) addProductPart(e << 2, 4, a, b, into)
  if (e < cols) addProductPart(e << 2, cols - e, a, b, into)
}

// @ts-ignore: decorator
@inline
function addProductPart(at: usize, width: i32, a: usize, b: usize, into: usize): void {
  storePart(into + at, width, madd(loadPart(a + at, width), loadPart(b + at, width), loadPart(into + at, width)))
}
