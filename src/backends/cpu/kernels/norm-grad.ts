// Gradient of LayerNorm and RMSNorm, row by row: one pass for the sums (LayerNorm: one more for the mean), one for the
// gradients.
import { loadPart, madd, maskPart, storePart, sum4 } from './math-grad'
import { addPart } from './rows-grad'

/** With s = (x - mean) r the normalised row and g = dy weight: dx += r (g - mean(g) - s mean(g s)). weight and outputs may be 0. */
export function normGrad(
  rows: i32, cols: i32, x: usize, xStep: i32, weight: usize, eps: f32, center: i32, dy: usize, dyStep: i32,
  dx: usize, dxStep: i32, dWeight: usize, dBias: usize,
): void {
  const count = <f32>cols
  const whole = cols & -4
  const rest = cols - whole
  const tail: usize = whole << 2
  for (let t = 0; t < rows; t++, x += xStep, dy += dyStep, dx += dxStep) {
    let sum = f32x4.splat(0)
    if (center) {
      for (let at: usize = 0; at < tail; at += 16) sum = f32x4.add(sum, v128.load(x + at))
      if (rest) sum = f32x4.add(sum, loadPart(x + tail, rest))
    }
    const mean = f32x4.splat(sum4(sum) / count)
    // Of the centred row c: c c, g c and g.
    let squares = f32x4.splat(0), along = squares, level = squares
    for (let at: usize = 0; at < tail; at += 16) {
      const c = f32x4.sub(v128.load(x + at), mean)
      const g = weighted(dy + at, 4, weight, at)
      squares = madd(c, c, squares)
      along = madd(g, c, along)
      level = f32x4.add(level, g)
    }
    if (rest) {
      const c = maskPart(f32x4.sub(loadPart(x + tail, rest), mean), rest)
      const g = weighted(dy + tail, rest, weight, tail)
      squares = madd(c, c, squares)
      along = madd(g, c, along)
      level = f32x4.add(level, g)
    }
    const r = <f32>1 / sqrt<f32>(sum4(squares) / count + eps)
    const factor = f32x4.splat(r)
    const alongMean = f32x4.splat(r * sum4(along) / count)
    const levelMean = f32x4.splat(center ? sum4(level) / count : 0)
    for (let at: usize = 0; at < tail; at += 16) spread(at, 4, x, mean, factor, weight, dy, alongMean, levelMean, dx, dWeight, dBias)
    if (rest) spread(tail, rest, x, mean, factor, weight, dy, alongMean, levelMean, dx, dWeight, dBias)
  }
}

/** dy weight */
// @ts-ignore: decorator
@inline
function weighted(dy: usize, width: i32, weight: usize, at: usize): v128 {
  const d = loadPart(dy, width)
  return weight ? f32x4.mul(d, loadPart(weight + at, width)) : d
}

/** The gradients of up to four numbers of a row. */
// @ts-ignore: decorator
@inline
function spread(
  at: usize, width: i32, x: usize, mean: v128, factor: v128, weight: usize, dy: usize, alongMean: v128, levelMean: v128,
  dx: usize, dWeight: usize, dBias: usize,
): void {
  const s = f32x4.mul(f32x4.sub(loadPart(x + at, width), mean), factor)
  const d = loadPart(dy + at, width)
  if (dWeight) addPart(dWeight + at, width, f32x4.mul(d, s))
  if (dBias) addPart(dBias + at, width, d)
  if (!dx) return
  const g = weight ? f32x4.mul(d, loadPart(weight + at, width)) : d
  const rest = f32x4.sub(f32x4.sub(g, levelMean), f32x4.mul(s, alongMean))
  storePart(dx + at, width, madd(factor, rest, loadPart(dx + at, width)))
}
