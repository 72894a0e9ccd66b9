/**
 * out [count] float32: sums of `taps` inputs (a multiple of 4) times weights [phases, taps], both float64. The first begins at `window` with
 * the weights of `phase`, each next one `whole` inputs and `part` phases later. Four sums side by side in a fixed order, so the bytes
 * are the same on every machine.
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
