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
    const from = t - (K - 1)
    for (let e = 0; e < E; e += 4) {
      const at = e << 2
      let d = loadPart(dy + at, E - e)
      if (activate) {
        let y = bias ? loadPart(bias + at, E - e) : f32x4.splat(0)
        for (let k = first; k < K; k++)
          y = madd(loadPart(weight + k * width + at, E - e), loadPart(x + (from + k) * xStep + at, E - e), y)
        d = f32x4.mul(d, siluSlope(y))
      }
      storePart(scratch + at, E - e, d)
      if (dBias) addPart(dBias + at, E - e, d)
    }
    for (let k = first; k < K; k++) {
      if (dWeight) addProduct(E, scratch, x + (from + k) * xStep, dWeight + k * dWeightStep)
      if (dx) addProduct(E, scratch, weight + k * width, dx + (from + k) * dxStep)
    }
  }
}

/** into += a b */
// @ts-ignore: decorator
@inline
function addProduct(cols: i32, a: usize, b: usize, into: usize): void {
  for (let e = 0; e < cols; e += 4) {
    const at = e << 2
    const x = madd(loadPart(a + at, cols - e), loadPart(b + at, cols - e), loadPart(into + at, cols - e))
    storePart(into + at, cols - e, x)
  }
}
