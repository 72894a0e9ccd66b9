import type { Discretisation } from '../discretise.js'
import { turn } from './math.js'

/**
 * Step discretised(A, dt) with w and held, as backends/discretise.ts has them on the host. Where dt A is small, (w - 1) / A is dt times the
 * series 1 + z / 2 + z^2 / 6 + ..., which loses nothing, and w is 1 + z times that: closer than by the exponential of a GPU.
 */
export const discretised = (how: Discretisation): string => `
${turn}
struct Step { w: vec2f, held: vec2f }
fn times(a: vec2f, b: vec2f) -> vec2f { return vec2f(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x); }
fn over(a: vec2f, b: vec2f) -> vec2f { return times(a, vec2f(b.x, -b.y)) / dot(b, b); }
fn discretised(A: vec2f, dt: f32) -> Step {
  let z = dt * A;
  let one = vec2f(1.0, 0.0);
  ${
    how === 'bilinear'
      ? 'return Step(over(one + 0.5 * z, one - 0.5 * z), over(vec2f(dt, 0.0), one - 0.5 * z));'
      : `
  if (dot(z, z) >= 1.0) {
    let w = exp(z.x) * turn(z.y);
    return Step(w, over(w - one, A));
  }
  var series = one;
  for (var k = 12.0; k > 1.0; k -= 1.0) { series = one + times(z, series) / k; }
  return Step(one + times(z, series), dt * series);`
  }
}`
