// Gradients that only add: element by element, to rows picked by number, over the rows of a segment.
import { geluSlope, loadPart, madd, seluSlope, sigmoid, sigmoidSlope, silu, siluSlope, storePart } from './math-grad'

// @ts-ignore: decorator
@inline
export function addPart(at: usize, width: i32, x: v128): void {
  storePart(at, width, f32x4.add(loadPart(at, width), x))
}

// @ts-ignore: decorator
@inline
function addRow(cols: i32, x: usize, into: usize): void {
  let e = 0
  for (; e + 4 <= cols; e += 4) addPart(into + (e << 2), 4, loadPart(x + (e << 2), 4))
  if (e < cols) addPart(into + (e << 2), cols - e, loadPart(x + (e << 2), cols - e))
}

/**
 * into += 0: d, 1: d a, 2: d silu(a), 3: d silu'(a), 4: d b silu'(a), 5: d sigmoid(a), 6: d b sigmoid'(a),
 * 7: d gelu'(a), 8: d selu'(a).
 */
export function accumulate(
  rows: i32, cols: i32, d: usize, dStep: i32, a: usize, aStep: i32, b: usize, bStep: i32, how: i32, into: usize, intoStep: i32,
): void {
  for (let t = 0; t < rows; t++, d += dStep, a += aStep, b += bStep, into += intoStep) {
    if (how == 0) addRow(cols, d, into)
    else if (how == 1) accumulateRow(cols, d, a, b, 1, into)
    else if (how == 2) accumulateRow(cols, d, a, b, 2, into)
    else if (how == 3) accumulateRow(cols, d, a, b, 3, into)
    else if (how == 4) accumulateRow(cols, d, a, b, 4, into)
    else if (how == 5) accumulateRow(cols, d, a, b, 5, into)
    else if (how == 6) accumulateRow(cols, d, a, b, 6, into)
    else if (how == 7) accumulateRow(cols, d, a, b, 7, into)
    else accumulateRow(cols, d, a, b, 8, into)
  }
}

/** how is a literal, for which asc drops the rest; four vectors a turn, because V8 makes the constants anew in every turn. */
// @ts-ignore: decorator
@inline
function accumulateRow(cols: i32, d: usize, a: usize, b: usize, how: i32, into: usize): void {
  let e = 0
  for (; e + 16 <= cols; e += 16) {
    const at = e << 2
    accumulatePart(at, 4, d, a, b, how, into)
    accumulatePart(at + 16, 4, d, a, b, how, into)
    accumulatePart(at + 32, 4, d, a, b, how, into)
    accumulatePart(at + 48, 4, d, a, b, how, into)
  }
  for (; e < cols; e += 4) accumulatePart(e << 2, cols - e, d, a, b, how, into)
}

// @ts-ignore: decorator
@inline
function accumulatePart(at: usize, width: i32, d: usize, a: usize, b: usize, how: i32, into: usize): void {
  let x = loadPart(d + at, width)
  if (how == 1) x = f32x4.mul(x, loadPart(a + at, width))
  else if (how == 2) x = f32x4.mul(x, silu(loadPart(a + at, width)))
  else if (how == 3 || how == 4) x = f32x4.mul(x, siluSlope(loadPart(a + at, width)))
  else if (how == 5) x = f32x4.mul(x, sigmoid(loadPart(a + at, width)))
  else if (how == 6) x = f32x4.mul(x, sigmoidSlope(loadPart(a + at, width)))
  else if (how == 7) x = f32x4.mul(x, geluSlope(loadPart(a + at, width)))
  else if (how == 8) x = f32x4.mul(x, seluSlope(loadPart(a + at, width)))
  if (how == 4 || how == 6) x = f32x4.mul(x, loadPart(b + at, width))
  addPart(into + at, width, x)
}

/** into[ids[i]] += x[i], ids int32, in order. */
export function scatterRows(count: i32, cols: i32, x: usize, xStep: i32, ids: usize, into: usize, intoStep: i32): void {
  for (let i = 0; i < count; i++, ids += 4, x += xStep) addRow(cols, x, into + load<i32>(ids) * intoStep)
}

/** into [cols] += every row. */
export function foldRows(rows: i32, cols: i32, x: usize, xStep: i32, into: usize): void {
  let e = 0
  for (; e + 16 <= cols; e += 16, x += 64, into += 64) {
    let a = f32x4.splat(0), b = a, c = a, d = a
    for (let t = 0, at = x; t < rows; t++, at += xStep) {
      a = f32x4.add(a, v128.load(at))
      b = f32x4.add(b, v128.load(at, 16))
      c = f32x4.add(c, v128.load(at, 32))
      d = f32x4.add(d, v128.load(at, 48))
    }
    addPart(into, 4, a)
    addPart(into + 16, 4, b)
    addPart(into + 32, 4, c)
    addPart(into + 48, 4, d)
  }
  for (; e < cols; e += 4, x += 16, into += 16) {
    let sum = f32x4.splat(0)
    for (let t = 0, at = x; t < rows; t++, at += xStep) sum = f32x4.add(sum, loadPart(at, cols - e))
    addPart(into, cols - e, sum)
  }
}

/** Every row += d [cols] factor. */
export function spreadRow(rows: i32, cols: i32, d: usize, factor: f32, into: usize, intoStep: i32): void {
  const f = f32x4.splat(factor)
  for (let t = 0; t < rows; t++, into += intoStep) {
    for (let e = 0; e < cols; e += 4) {
      const at = into + (e << 2)
      storePart(at, cols - e, madd(loadPart(d + (e << 2), cols - e), f, loadPart(at, cols - e)))
    }
  }
}

/** d [cols] is added to the row of the maximum of each column of x, the first of several. */
export function spreadToMax(rows: i32, cols: i32, x: usize, xStep: i32, d: usize, into: usize, intoStep: i32): void {
  for (let e = 0; e < cols; e++) {
    const at = e << 2
    let best = 0
    for (let t = 1; t < rows; t++) if (load<f32>(x + t * xStep + at) > load<f32>(x + best * xStep + at)) best = t
    const to = into + best * intoStep + at
    store<f32>(to, load<f32>(to) + load<f32>(d + at))
  }
}

/** The windows of one segment, [count, window, cols], added back to the rows they came from. */
export function foldWindows(
  rows: i32, cols: i32, d: usize, dStep: i32, window: i32, stride: i32, count: i32, into: usize, intoStep: i32,
): void {
  for (let j = 0; j < count; j++, d += dStep) {
    for (let w = 0; w < window; w++) {
      const row = (j + 1) * stride - window + w
      if (row >= 0 && row < rows) addRow(cols, d + ((w * cols) << 2), into + row * intoStep)
    }
  }
}
