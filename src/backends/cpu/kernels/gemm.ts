// Matrix product with any strides: Y [M, N] = A [M, K] B [K, N] + C. Each number is one sum over k = 0 .. K - 1 in order,
// so a row never depends on how many rows there are.
import { madd } from './math'

/** B to panels [ceil(N / 8)][K][8], zeros after column N. Distances in bytes: from k to k + 1 and from n to n + 1. */
export function packPanels(K: i32, N: i32, b: usize, kStep: i32, nStep: i32, panels: usize): void {
  for (let first = 0; first < N; first += 8) {
    for (let k = 0; k < K; k++, panels += 32) {
      const row = b + k * kStep
      for (let j = 0; j < 8; j++) {
        const n = first + j
        store<f32>(panels + (j << 2), n < N ? load<f32>(row + n * nStep) : 0)
      }
    }
  }
}

/** Rows that go through all columns together, while what they read and write stays near. */
// @ts-ignore: decorator
@inline
const BLOCK: i32 = 64

/** C (0 for none) may be Y; a cStep of 0 adds one row to all. scratch: 32 floats. */
export function multiply(
  M: i32, N: i32, K: i32, a: usize, mStep: i32, kStep: i32, panels: usize, c: usize, cStep: i32, y: usize, yStep: i32, scratch: usize,
): void {
  for (let from = 0; from < M; from += BLOCK) {
    const end = min(M, from + BLOCK)
    for (let n = 0, panel = panels; n < N; n += 8, panel += K << 5) {
      const width = N - n
      const at = n << 2
      let m: i32 = from
      for (; m + 4 <= end; m += 4) {
        const cRow = c ? c + m * cStep + at : 0
        const yRow = y + m * yStep + at
        if (width >= 8) block4(K, a + m * mStep, mStep, kStep, panel, cRow, cStep, yRow, yStep)
        else {
          block4(K, a + m * mStep, mStep, kStep, panel, 0, 0, scratch, 32)
          for (let i = 0; i < 4; i++) edge(width, scratch + (i << 5), cRow ? cRow + i * cStep : 0, yRow + i * yStep)
        }
      }
      for (; m < end; m++) {
        const cRow = c ? c + m * cStep + at : 0
        const yRow = y + m * yStep + at
        if (width >= 8) block1(K, a + m * mStep, kStep, panel, cRow, yRow)
        else {
          block1(K, a + m * mStep, kStep, panel, 0, scratch)
          edge(width, scratch, cRow, yRow)
        }
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function put(y: usize, c: usize, low: v128, high: v128): void {
  v128.store(y, c ? f32x4.add(v128.load(c), low) : low)
  v128.store(y, c ? f32x4.add(v128.load(c, 16), high) : high, 16)
}

/** 4 rows x 8 columns. */
function block4(K: i32, a: usize, mStep: i32, kStep: i32, panel: usize, c: usize, cStep: i32, y: usize, yStep: i32): void {
  let low0 = f32x4.splat(0), low1 = low0, low2 = low0, low3 = low0
  let high0 = low0, high1 = low0, high2 = low0, high3 = low0
  let a1 = a + mStep, a2 = a1 + mStep, a3 = a2 + mStep
  for (let k = 0; k < K; k++, panel += 32) {
    const low = v128.load(panel)
    const high = v128.load(panel, 16)
    let x = v128.load32_splat(a)
    low0 = madd(x, low, low0)
    high0 = madd(x, high, high0)
    x = v128.load32_splat(a1)
    low1 = madd(x, low, low1)
    high1 = madd(x, high, high1)
    x = v128.load32_splat(a2)
    low2 = madd(x, low, low2)
    high2 = madd(x, high, high2)
    x = v128.load32_splat(a3)
    low3 = madd(x, low, low3)
    high3 = madd(x, high, high3)
    a += kStep
    a1 += kStep
    a2 += kStep
    a3 += kStep
  }
  put(y, c, low0, high0)
  put(y + yStep, c ? c + cStep : 0, low1, high1)
  put(y + 2 * yStep, c ? c + 2 * cStep : 0, low2, high2)
  put(y + 3 * yStep, c ? c + 3 * cStep : 0, low3, high3)
}

/** 1 row x 8 columns. */
function block1(K: i32, a: usize, kStep: i32, panel: usize, c: usize, y: usize): void {
  let low = f32x4.splat(0), high = low
  for (let k = 0; k < K; k++, panel += 32, a += kStep) {
    const x = v128.load32_splat(a)
    low = madd(x, v128.load(panel), low)
    high = madd(x, v128.load(panel, 16), high)
  }
  put(y, c, low, high)
}

/** The last, narrow panel: `width` numbers from a full one. */
function edge(width: i32, from: usize, c: usize, y: usize): void {
  for (let j = 0; j < width; j++) {
    const x = load<f32>(from + (j << 2))
    store<f32>(y + (j << 2), c ? load<f32>(c + (j << 2)) + x : x)
  }
}
