// Gradient of LayerNorm and RMSNorm, row by row.
import { loadPart, madd, maskPart, storePart, sum4 } from './math-grad'
import { addPart } from './rows-grad'

/** With s = (x - mean) r the normalised row and g = dy weight: dx += r (g - mean(g) - s mean(g s)). weight and outputs may be 0. */
export function normGrad(
  rows: i32, cols: i32, x: usize, xStep: i32, weight: usize, eps: f32, center: i32, dy: usize, dyStep: i32,
  dx: usize, dxStep: i32, dWeight: usize, dBias: usize,
): void {
  const count = <f32>cols
  for (let t = 0; t < rows; t++, x += xStep, dy += dyStep, dx += dxStep) {
    let sum = f32x4.splat(0)
    if (center) for (let e = 0; e < cols; e += 4) sum = f32x4.add(sum, loadPart(x + (e << 2), cols - e))
    const mean = f32x4.splat(sum4(sum) / count)
    let squares = f32x4.splat(0)
    for (let e = 0; e < cols; e += 4) {
      const c = maskPart(f32x4.sub(loadPart(x + (e << 2), cols - e), mean), cols - e)
      squares = madd(c, c, squares)
    }
    const factor = f32x4.splat(<f32>1 / sqrt<f32>(sum4(squares) / count + eps))
    let along = f32x4.splat(0)
    let level = f32x4.splat(0)
    for (let e = 0; e < cols; e += 4) {
      const at = e << 2
      const d = loadPart(dy + at, cols - e)
      const s = f32x4.mul(f32x4.sub(loadPart(x + at, cols - e), mean), factor)
      const g = weight ? f32x4.mul(d, loadPart(weight + at, cols - e)) : d
      along = madd(g, s, along)
      level = f32x4.add(level, g)
      if (dWeight) addPart(dWeight + at, cols - e, f32x4.mul(d, s))
      if (dBias) addPart(dBias + at, cols - e, d)
    }
    if (!dx) continue
    const alongMean = f32x4.splat(sum4(along) / count)
    const levelMean = f32x4.splat(center ? sum4(level) / count : 0)
    for (let e = 0; e < cols; e += 4) {
      const at = e << 2
      const d = loadPart(dy + at, cols - e)
      const s = f32x4.mul(f32x4.sub(loadPart(x + at, cols - e), mean), factor)
      const g = weight ? f32x4.mul(d, loadPart(weight + at, cols - e)) : d
      const rest = f32x4.sub(f32x4.sub(g, levelMean), f32x4.mul(s, alongMean))
      storePart(dx + at, cols - e, madd(factor, rest, loadPart(dx + at, cols - e)))
    }
  }
}
