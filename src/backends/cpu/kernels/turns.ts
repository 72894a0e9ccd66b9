// Angles that add up along the rows, with their cosines and sines: the turns of Mamba-3. One segment per call.
import { loadPart, storePart } from './math-grad'
import { madd, sigmoid } from './math'

/** x less the nearest multiple of pi / 2, in three parts, then polynomials on [-pi / 4, pi / 4]: within 1e-7 for x in [0, 2 pi]. */
// @ts-ignore: decorator
@inline
function putTurn(x: v128, count: i32, cosines: usize, sines: usize): void {
  const k = f32x4.nearest(f32x4.mul(x, f32x4.splat(0.6366197723675814)))
  const high = f32x4.sub(x, f32x4.mul(k, f32x4.splat(1.5703125)))
  const middle = f32x4.sub(high, f32x4.mul(k, f32x4.splat(0.0004837512969970703)))
  const r = f32x4.sub(middle, f32x4.mul(k, f32x4.splat(7.549789954891e-8)))
  const s = f32x4.mul(r, r)
  const c3 = madd(s, f32x4.splat(0.0000248), f32x4.splat(-0.0013888888))
  const cosine = madd(s, madd(s, madd(s, c3, f32x4.splat(0.041666666)), f32x4.splat(-0.5)), f32x4.splat(1))
  const s3 = madd(s, f32x4.splat(0.0000027557), f32x4.splat(-0.0001984127))
  const odd = madd(s, madd(s, madd(s, s3, f32x4.splat(0.008333333)), f32x4.splat(-0.16666667)), f32x4.splat(1))
  const sine = f32x4.mul(r, odd)
  const quarter = i32x4.trunc_sat_f32x4_s(k)
  const swapped = i32x4.ne(v128.and(quarter, i32x4.splat(1)), i32x4.splat(0))
  // The sign bit: of the cosine in quarters 1 and 2, of the sine in 2 and 3.
  const signOfSine = i32x4.shl(v128.and(quarter, i32x4.splat(2)), 30)
  const signOfCosine = i32x4.shl(v128.and(i32x4.add(quarter, i32x4.splat(1)), i32x4.splat(2)), 30)
  storePart(cosines, count, v128.xor(v128.bitselect(sine, cosine, swapped), signOfCosine))
  storePart(sines, count, v128.xor(v128.bitselect(cosine, sine, swapped), signOfSine))
}

/** The part of 2 pi that is left. */
// @ts-ignore: decorator
@inline
function wrapped(x: v128): v128 {
  const k = f32x4.floor(f32x4.mul(x, f32x4.splat(0.15915494309189535)))
  return f32x4.sub(f32x4.sub(x, f32x4.mul(k, f32x4.splat(6.28125))), f32x4.mul(k, f32x4.splat(0.0019353071795864769)))
}

/**
 * angles: [A S] a row, of A groups of heads; steps: pi times those of the heads, [rows, H]; sums: [H, S], in place; out: S cosines and S sines of
 * each head.
 */
export function turnRows(
  rows: i32, H: i32, S: i32, A: i32, angles: usize, anglesStep: i32, steps: usize, sums: usize, out: usize, outStep: i32,
): void {
  const width = S << 2
  for (let t = 0; t < rows; t++, angles += anglesStep, out += outStep)
    for (let h = 0; h < H; h++, steps += 4) {
      const step = v128.load32_splat(steps)
      const group = angles + (h * A / H) * width, kept = sums + h * width, to = out + 2 * h * width
      for (let i = 0; i < S; i += 4) {
        const at = i << 2, count = min(4, S - i)
        const x = loadPart(group + at, count)
        // tanh x = 2 sigmoid(2 x) - 1
        const tanh = f32x4.sub(f32x4.mul(f32x4.splat(2), sigmoid(f32x4.add(x, x))), f32x4.splat(1))
        const sum = wrapped(madd(tanh, step, loadPart(kept + at, count)))
        storePart(kept + at, count, sum)
        putTurn(sum, count, to + at, to + width + at)
      }
    }
}
