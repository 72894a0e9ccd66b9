// Gradient of the depthwise causal convolution, one whole segment per call, rows in reading order.
import { loadPart, madd, siluSlope, storePart } from './math-grad'
import { addPart } from './rows-grad'

/** dx, dWeight, dBias may be 0; bias too. scratch: [E] floats. */
export function convGrad(
  rows: i32, E: i32, K: i32, x: usize, xStep: i32, weight: usize, bias: usize, activate: i32, dy: usize, dyStep: i32,
  dx: usize, dxStep: i32, dWeight: usize, dWeightStep: i32, dBias: usize, scratch: usize,
): void {
  const width = E << 2
  for (let t = 0; t < rows; t++, dy += dyStep) {
    const first = max(0, K - 1 - t)
    const from = x + (t - (K - 1)) * xStep
    let e = 0
    // Width 4 is what the models have: whole vectors of whole windows go in one pass.
    if (K == 4 && first == 0 && dx && dWeight && dBias) {
      const to = dx + (t - 3) * dxStep
      for (; e + 4 <= E; e += 4) {
        const at = e << 2
        window4(at, from + at, xStep, weight + at, width, bias, activate, dy + at, to + at, dxStep, dWeight + at, dWeightStep, dBias)
      }
    }
    const rest = e
    for (; e + 4 <= E; e += 4) slopePart(e << 2, 4, first, K, from, xStep, weight, width, bias, activate, dy, dBias, scratch)
    if (e < E) slopePart(e << 2, E - e, first, K, from, xStep, weight, width, bias, activate, dy, dBias, scratch)
    for (let k = first; k < K; k++) {
      if (dWeight) addProduct(rest, E, scratch, from + k * xStep, dWeight + k * dWeightStep)
      if (dx) addProduct(rest, E, scratch, weight + k * width, dx + (t - (K - 1) + k) * dxStep)
    }
  }
}

/** Four channels of one row, K = 4, addresses of their first window row. */
// @ts-ignore: decorator
@inline
function window4(
  at: usize, x: usize, xStep: i32, weight: usize, weightStep: i32, bias: usize, activate: i32, dy: usize,
  dx: usize, dxStep: i32, dWeight: usize, dWeightStep: i32, dBias: usize,
): void {
  const x0 = v128.load(x), x1 = v128.load(x + xStep), x2 = v128.load(x + 2 * xStep), x3 = v128.load(x + 3 * xStep)
  const w0 = v128.load(weight), w1 = v128.load(weight + weightStep)
  const w2 = v128.load(weight + 2 * weightStep), w3 = v128.load(weight + 3 * weightStep)
  let d = v128.load(dy)
  if (activate) {
    const y = madd(w3, x3, madd(w2, x2, madd(w1, x1, madd(w0, x0, bias ? v128.load(bias + at) : f32x4.splat(0)))))
    d = f32x4.mul(d, siluSlope(y))
  }
  v128.store(dBias + at, f32x4.add(v128.load(dBias + at), d))
  addTo(dWeight, d, x0)
  addTo(dWeight + dWeightStep, d, x1)
  addTo(dWeight + 2 * dWeightStep, d, x2)
  addTo(dWeight + 3 * dWeightStep, d, x3)
  addTo(dx, d, w0)
  addTo(dx + dxStep, d, w1)
  addTo(dx + 2 * dxStep, d, w2)
  addTo(dx + 3 * dxStep, d, w3)
}

// @ts-ignore: decorator
@inline
function addTo(at: usize, a: v128, b: v128): void {
  v128.store(at, madd(a, b, v128.load(at)))
}

/** scratch = dy times the slope of the activation at the output, which is computed again; dBias += it. */
// @ts-ignore: decorator
@inline
function slopePart(
  at: usize, width: i32, first: i32, K: i32, x: usize, xStep: i32, weight: usize, weightStep: i32, bias: usize, activate: i32,
  dy: usize, dBias: usize, scratch: usize,
): void {
  let d = loadPart(dy + at, width)
  if (activate) {
    let y = bias ? loadPart(bias + at, width) : f32x4.splat(0)
    for (let k = first; k < K; k++)
      y = madd(loadPart(weight + k * weightStep + at, width), loadPart(x + k * xStep + at, width), y)
    d = f32x4.mul(d, siluSlope(y))
  }
  storePart(scratch + at, width, d)
  if (dBias) addPart(dBias + at, width, d)
}

/** into += a b, from column `e` on. */
// @ts-ignore: decorator
@inline
function addProduct(e: i32, cols: i32, a: usize, b: usize, into: usize): void {
  for (; e + 4 <= cols; e += 4) addProductPart(e << 2, 4, a, b, into)
  if (e < cols) addProductPart(e << 2, cols - e, a, b, into)
}

// @ts-ignore: decorator
@inline
function addProductPart(at: usize, width: i32, a: usize, b: usize, into: usize): void {
  storePart(into + at, width, madd(loadPart(a + at, width), loadPart(b + at, width), loadPart(into + at, width)))
}
