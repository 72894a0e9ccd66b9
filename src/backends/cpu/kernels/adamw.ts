// One AdamW step (arXiv 1711.05101) in place.
import { loadPart, madd, storePart } from './math-grad'

/** meanFactor = 1 / (1 - beta1^step), squareFactor = 1 / (1 - beta2^step); decay = learning rate * weight decay. */
export function adamw(
  rows: i32, cols: i32, param: usize, paramStep: i32, grad: usize, gradStep: i32, m: usize, mStep: i32, v: usize, vStep: i32,
  lr: f32, beta1: f32, rest1: f32, beta2: f32, rest2: f32, eps: f32, decay: f32, meanFactor: f32, squareFactor: f32, scale: f32,
): void {
  for (let t = 0; t < rows; t++, param += paramStep, grad += gradStep, m += mStep, v += vStep) {
    for (let e = 0; e < cols; e += 4) {
      const at = e << 2
      const width = cols - e
      const g = f32x4.mul(loadPart(grad + at, width), f32x4.splat(scale))
      const mean = madd(loadPart(m + at, width), f32x4.splat(beta1), f32x4.mul(g, f32x4.splat(rest1)))
      const square = madd(loadPart(v + at, width), f32x4.splat(beta2), f32x4.mul(f32x4.mul(g, g), f32x4.splat(rest2)))
      const root = f32x4.sqrt(f32x4.mul(square, f32x4.splat(squareFactor)))
      const move = f32x4.div(f32x4.mul(mean, f32x4.splat(meanFactor)), f32x4.add(root, f32x4.splat(eps)))
      const p = loadPart(param + at, width)
      const step = madd(p, f32x4.splat(decay), f32x4.mul(move, f32x4.splat(lr)))
      storePart(m + at, width, mean)
      storePart(v + at, width, square)
      storePart(param + at, width, f32x4.sub(p, step))
    }
  }
}
