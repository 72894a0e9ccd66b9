/** WGSL functions that kernels share; those of WGSL are too coarse (sin, cos), or missing. */

export const sigmoid = `
fn sigmoid(x: f32) -> f32 { return 1.0 / (1.0 + exp(-clamp(x, -80.0, 80.0))); }
fn silu(x: f32) -> f32 { return x * sigmoid(x); }`

/** log(1 + e^x), by e^-|x| and a polynomial for log(1 + e) / e on [0, 1]; and the identity above 20, as in the official Mamba code. */
export const softplus = `
fn softplus(x: f32) -> f32 {
  if (x > 20.0) { return x; }
  let e = exp(-min(abs(x), 80.0));
  var q = 0.005232694263;
  q = q * e - 0.02950523877;
  q = q * e + 0.07822595187;
  q = q * e - 0.1366324579;
  q = q * e + 0.1910600676;
  q = q * e - 0.2484298221;
  q = q * e + 0.3331909681;
  q = q * e - 0.4999949314;
  q = q * e + 0.9999999699;
  return max(x, 0.0) + q * e;
}`

/** The error function after Abramowitz and Stegun, 7.1.26: within 1.5e-7. */
export const gelu = `
fn normal_cdf(x: f32) -> f32 {
  let a = abs(x) * 0.70710678118;
  let t = 1.0 / (1.0 + 0.3275911 * a);
  let q = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  let tail = 0.5 * q * exp(-min(a * a, 80.0));
  return select(tail, 1.0 - tail, x >= 0.0);
}
fn gelu(x: f32) -> f32 { return x * normal_cdf(x); }`

/** With e^x - 1 as it is: its error counts beside what it is multiplied by. */
export const selu = `
fn selu(x: f32) -> f32 {
  return 1.0507009873554805 * select(1.6732632423543772 * (exp(min(x, 0.0)) - 1.0), x, x > 0.0);
}`

/** [cos x, sin x]: x less the nearest multiple of pi / 2, taken away in three parts, then polynomials on [-pi / 4, pi / 4]. */
export const turn = `
fn turn(x: f32) -> vec2f {
  let k = round(x * 0.6366197723675814);
  let r = ((x - k * 1.5703125) - k * 0.0004837512969970703) - k * 7.549789954891e-8;
  let s = r * r;
  let cosine = 1.0 + s * (-0.5 + s * (0.041666666 + s * (-0.0013888888 + s * 0.0000248)));
  let sine = r * (1.0 + s * (-0.16666667 + s * (0.008333333 + s * (-0.00019841270 + s * 0.0000027557))));
  let quarter = i32(k) & 3;
  if (quarter == 0) { return vec2f(cosine, sine); }
  if (quarter == 1) { return vec2f(-sine, cosine); }
  if (quarter == 2) { return vec2f(-cosine, -sine); }
  return vec2f(sine, -cosine);
}`
