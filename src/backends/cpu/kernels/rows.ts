// Moving rows about.

export function clear(at: usize, bytes: usize): void {
  memory.fill(at, 0, bytes)
}

export function clearRows(rows: i32, cols: i32, x: usize, xStep: i32): void {
  for (let t = 0; t < rows; t++, x += xStep) memory.fill(x, 0, cols << 2)
}

export function copyRows(rows: i32, cols: i32, x: usize, xStep: i32, y: usize, yStep: i32): void {
  for (let t = 0; t < rows; t++, x += xStep, y += yStep) memory.copy(y, x, cols << 2)
}

/** y[i] = x[ids[i]], ids int32. */
export function gatherRows(count: i32, cols: i32, x: usize, xStep: i32, ids: usize, y: usize): void {
  const width = cols << 2
  for (let i = 0; i < count; i++, ids += 4, y += width) memory.copy(y, x + load<i32>(ids) * xStep, width)
}

/** state [K, cols]: becomes the last K rows of (state, x), newest last. */
export function lastRows(rows: i32, cols: i32, x: usize, xStep: i32, K: i32, state: usize): void {
  const width = cols << 2
  for (let k = 0; k < K; k++) {
    const row = rows - K + k
    memory.copy(state + k * width, row < 0 ? state + (K + row) * width : x + row * xStep, width)
  }
}

/** Window j of a segment, [window, cols]: its rows (j + 1) stride - window and on; before: the `window` rows before the first. */
export function unfoldRows(
  rows: i32, cols: i32, x: usize, xStep: i32, before: usize, window: i32, stride: i32, count: i32, y: usize,
): void {
  const width = cols << 2
  for (let j = 0; j < count; j++) {
    for (let w = 0; w < window; w++, y += width) {
      const row = (j + 1) * stride - window + w
      if (row < 0) memory.copy(y, before + (window + row) * width, width)
      else if (row < rows) memory.copy(y, x + row * xStep, width)
      else memory.fill(y, 0, width)
    }
  }
}
