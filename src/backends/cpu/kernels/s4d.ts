// S4D: a linear recurrence of complex modes for every channel, one segment per call, rows in reading order.
// Of each channel `modes` holds [w re, w im, c re, c im] and `state` [x re, x im], M numbers each, M a multiple of 4.
import { madd, sum4 } from './math'

/** x = w x + u, y = Re(sum c x) + D u. */
export function s4dRows(
  rows: i32, H: i32, M: i32, u: usize, uStep: i32, modes: usize, D: usize, state: usize, out: usize, outStep: i32,
): void {
  for (let t = 0; t < rows; t++, u += uStep, out += outStep) {
    let p = modes
    let x = state
    for (let h: i32 = 0; h < H; h++) {
      const now = load<f32>(u + (h << 2))
      const y = stepModes(M, p, x, x, f32x4.splat(now))
      store<f32>(out + (h << 2), sum4(y) + load<f32>(D + (h << 2)) * now)
      p += M << 4
      x += M << 3
    }
  }
}

/** All modes of a channel go one step, from one state to the next; returns four partial sums of Re(c x). */
// @ts-ignore: decorator
@inline
function stepModes(M: i32, modes: usize, before: usize, after: usize, u: v128): v128 {
  const width = M << 2
  let y = f32x4.splat(0)
  for (let m: i32 = 0; m < width; m += 16) {
    const p = modes + m
    const wr = v128.load(p), wi = v128.load(p + width)
    const xr = v128.load(before + m), xi = v128.load(before + width + m)
    const re = madd(wr, xr, f32x4.sub(u, f32x4.mul(wi, xi)))
    const im = madd(wr, xi, f32x4.mul(wi, xr))
    v128.store(after + m, re)
    v128.store(after + width + m, im)
    y = madd(v128.load(p + 2 * width), re, f32x4.sub(y, f32x4.mul(v128.load(p + 3 * width), im)))
  }
  return y
}

/** Bytes that s4dGrad needs: the states of a channel before and after every row, and the gradient of one. */
export function s4dGradScratch(rows: i32, M: i32): i32 {
  return (rows + 2) * (M << 3)
}

/** Adds to du, dD and to dModes, the gradients of `modes`; every sequence begins and ends in the segment. du may be 0. */
export function s4dGrad(
  rows: i32, H: i32, M: i32, u: usize, uStep: i32, dy: usize, dyStep: i32, modes: usize, D: usize,
  du: usize, duStep: i32, dModes: usize, dD: usize, scratch: usize,
): void {
  const bytes = M << 3
  const adjoint = scratch + (rows + 1) * bytes
  for (let h: i32 = 0; h < H; h++) {
    const at = h << 2
    memory.fill(scratch, 0, bytes)
    memory.fill(adjoint, 0, bytes)
    for (let t = 0; t < rows; t++) {
      const before = scratch + t * bytes
      stepModes(M, modes, before, before + bytes, v128.load32_splat(u + t * uStep + at))
    }
    let ofD: f32 = 0
    for (let t = rows - 1; t >= 0; t--) {
      const g = load<f32>(dy + t * dyStep + at)
      ofD += g * load<f32>(u + t * uStep + at)
      const gu = stepBack(M, modes, scratch + t * bytes, adjoint, dModes, f32x4.splat(g))
      if (du) {
        const to = du + t * duStep + at
        store<f32>(to, load<f32>(to) + sum4(gu) + g * load<f32>(D + at))
      }
    }
    store<f32>(dD + at, load<f32>(dD + at) + ofD)
    modes += M << 4
    dModes += M << 4
  }
}

/** The gradient of a state, and of modes, one row back; returns four partial sums of the gradient of u. */
// @ts-ignore: decorator
@inline
function stepBack(M: i32, modes: usize, before: usize, adjoint: usize, dModes: usize, g: v128): v128 {
  const width = M << 2
  let gu = f32x4.splat(0)
  for (let m: i32 = 0; m < width; m += 16) {
    const p = modes + m, d = dModes + m, x = before + m, next = before + 2 * width + m
    const wr = v128.load(p), wi = v128.load(p + width)
    v128.store(d + 2 * width, madd(g, v128.load(next), v128.load(d + 2 * width)))
    v128.store(d + 3 * width, f32x4.sub(v128.load(d + 3 * width), f32x4.mul(g, v128.load(next + width))))
    const re = madd(g, v128.load(p + 2 * width), v128.load(adjoint + m))
    const im = f32x4.sub(v128.load(adjoint + width + m), f32x4.mul(g, v128.load(p + 3 * width)))
    gu = f32x4.add(gu, re)
    const xr = v128.load(x), xi = v128.load(x + width)
    v128.store(d, madd(re, xr, madd(im, xi, v128.load(d))))
    v128.store(d + width, madd(im, xr, f32x4.sub(v128.load(d + width), f32x4.mul(re, xi))))
    v128.store(adjoint + m, madd(wr, re, f32x4.mul(wi, im)))
    v128.store(adjoint + width + m, f32x4.sub(f32x4.mul(wr, im), f32x4.mul(wi, re)))
  }
  return gu
}
