// Pairs of numbers turned by the angles of their row.

/**
 * y = x, the first n pairs of each head turned by cosines and sines [2 n] of the row, backwards for a `sign` of -1; or added to y. The
 * second number of a pair lies `apart` bytes after the first, the next pair `next` bytes further on.
 */
export function rotateRows(
  rows: i32, heads: i32, dim: i32, n: i32, apart: i32, next: i32, sign: f32, x: usize, xStep: i32, turns: usize, turnsStep: i32,
  add: i32, y: usize, yStep: i32,
): void {
  const width = dim << 2
  for (let t = 0; t < rows; t++, x += xStep, turns += turnsStep, y += yStep) {
    for (let h = 0; h < heads; h++) {
      const from = x + h * width, to = y + h * width
      for (let i = 0; i < n; i++) {
        const cos = load<f32>(turns + (i << 2)), sin = sign * load<f32>(turns + ((n + i) << 2))
        const a = load<f32>(from + i * next), b = load<f32>(from + i * next + apart)
        put(to + i * next, a * cos - b * sin, add)
        put(to + i * next + apart, b * cos + a * sin, add)
      }
      for (let e = 2 * n; e < dim; e++) put(to + (e << 2), load<f32>(from + (e << 2)), add)
    }
  }
}

/** Adds to the gradients of the cosines and sines of each row, over all heads. */
export function rotateTurnsGrad(
  rows: i32, heads: i32, dim: i32, n: i32, apart: i32, next: i32, dy: usize, dyStep: i32, x: usize, xStep: i32,
  dturns: usize, dturnsStep: i32,
): void {
  for (let t = 0; t < rows; t++, dy += dyStep, x += xStep, dturns += dturnsStep) {
    for (let h = 0; h < heads; h++) {
      for (let i = 0; i < n; i++) {
        const at = (h * dim << 2) + i * next
        const a = load<f32>(x + at), b = load<f32>(x + at + apart), da = load<f32>(dy + at), db = load<f32>(dy + at + apart)
        put(dturns + (i << 2), da * a + db * b, 1)
        put(dturns + ((n + i) << 2), db * a - da * b, 1)
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function put(at: usize, value: f32, add: i32): void {
  store<f32>(at, add ? load<f32>(at) + value : value)
}
