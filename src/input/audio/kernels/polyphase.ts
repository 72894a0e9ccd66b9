/**
 * out [count] float32: sums of `taps` inputs (a multiple of 4) times weights [phases, taps], both float64. The first
 * begins at `window` with the weights of `phase`, each next one `whole` inputs and `part` phases later. Four sums side
 * by side in a fixed order, so the bytes are the same on every machine.
 */
export function polyphase(
  count: i32,
  out: usize,
  weights: usize,
  taps: i32,
  window: usize,
  phase: i32,
  phases: i32,
  whole: i32,
  part: i32,
): void {
  const row = taps << 3
  for (const end = out + (count << 2); out < end; out += 4) {
    let a = f64x2.splat(0)
    let b = f64x2.splat(0)
    let x = window
    let w = weights + phase * row
    for (const last = w + row; w < last; w += 32, x += 32) {
      a = f64x2.add(a, f64x2.mul(v128.load(w), v128.load(x)))
      b = f64x2.add(b, f64x2.mul(v128.load(w, 16), v128.load(x, 16)))
    }
    const ab = f64x2.extract_lane(a, 0) + f64x2.extract_lane(a, 1)
    const cd = f64x2.extract_lane(b, 0) + f64x2.extract_lane(b, 1)
    store<f32>(out, <f32>(ab + cd))
    window += whole << 3
    phase += part
    if (phase >= phases) {
      phase -= phases
      window += 8
    }
  }
}

/**
 * The same where there are too many phases for a row each: the weights stand in `rows + 1` rows, at `row / rows`
 * between two inputs, and an output is taken in a straight line between the sums of the rows on either side of its
 * phase.
 */
export function between(
  count: i32,
  out: usize,
  weights: usize,
  taps: i32,
  window: usize,
  phase: i32,
  phases: i32,
  whole: i32,
  part: i32,
  rows: i32,
): void {
  const row = taps << 3
  for (const end = out + (count << 2); out < end; out += 4) {
    const place = (<f64>phase * <f64>rows) / <f64>phases
    const before = <i32>place
    let a = f64x2.splat(0)
    let b = f64x2.splat(0)
    let c = f64x2.splat(0)
    let d = f64x2.splat(0)
    let x = window
    let w = weights + before * row
    for (const last = w + row; w < last; w += 32, x += 32) {
      const x0 = v128.load(x)
      const x1 = v128.load(x, 16)
      a = f64x2.add(a, f64x2.mul(v128.load(w), x0))
      b = f64x2.add(b, f64x2.mul(v128.load(w, 16), x1))
      c = f64x2.add(c, f64x2.mul(v128.load(w + row), x0))
      d = f64x2.add(d, f64x2.mul(v128.load(w + row, 16), x1))
    }
    a = f64x2.add(a, b)
    c = f64x2.add(c, d)
    const first = f64x2.extract_lane(a, 0) + f64x2.extract_lane(a, 1)
    const second = f64x2.extract_lane(c, 0) + f64x2.extract_lane(c, 1)
    store<f32>(out, <f32>(first + (place - <f64>before) * (second - first)))
    window += whole << 3
    phase += part
    if (phase >= phases) {
      phase -= phases
      window += 8
    }
  }
}
