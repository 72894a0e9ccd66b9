import type { Discretisation } from '../../discretise.js'
import { discretised } from '../discretise.js'

/**
 * discretised_gradient(A, dt, ofW, ofHeld), as backends/discretise.ts has it on the host: the gradients of A and dt. Where dt A is small,
 * d held / dA is dt^2 times the series 1 / 2 + z / 3 + z^2 / 8 + ..., which loses nothing.
 */
export const discretisedGradient = (how: Discretisation): string => `
${discretised(how)}
struct OfStep { A: vec2f, dt: f32 }
fn along(direction: vec2f, slope: vec2f) -> vec2f { return times(direction, vec2f(slope.x, -slope.y)); }
fn discretised_gradient(A: vec2f, dt: f32, of_w: vec2f, of_held: vec2f) -> OfStep {
  let z = dt * A;
  ${
    how === 'bilinear'
      ? `
  let once = over(vec2f(1.0, 0.0), vec2f(1.0, 0.0) - 0.5 * z);
  let slope = times(once, once);
  let held_A = 0.5 * dt * dt * slope;`
      : `
  let step = discretised(A, dt);
  let slope = step.w;
  var held_A: vec2f;
  if (dot(z, z) >= 1.0) { held_A = over(dt * step.w - step.held, A); }
  else {
    var series = vec2f(1.0, 0.0);
    for (var k = 12.0; k > 0.0; k -= 1.0) { series = vec2f(1.0, 0.0) + (k + 1.0) / (k * (k + 2.0)) * times(z, series); }
    held_A = 0.5 * dt * dt * series;
  }`
  }
  let through = along(of_w, slope);
  return OfStep(dt * through + along(of_held, held_A), along(through, A).x + along(of_held, slope).x);
}`
