// Causal attention of grouped queries, one segment per call. Keys and values of a segment lie in rows one after the other, `before` of
// them for rows of the sequence before the segment. What a row gives is summed over its keys in their order, lanes counted from the first
// one that it sees: it does not depend on where the segment begins.
import { decay, load1, madd, store1, sum4 } from './math'

const LOG2E: f32 = 1.44269504089

/** Bytes that attendRows needs: the scores of a row that sees `keys` of them. */
export function attendScratch(keys: i32): i32 {
  return ((keys + 3) & -4) << 2
}

/** heads of `dim` numbers, of which `share` in turn read the same keys. window: how many keys a row sees at the most. */
export function attendRows(
  rows: i32, heads: i32, share: i32, dim: i32, q: usize, qStep: i32, k: usize, kStep: i32, v: usize, vStep: i32,
  before: i32, window: i32, scale: f32, out: usize, outStep: i32, scratch: usize,
): void {
  const width = dim << 2
  for (let t: i32 = 0; t < rows; t++, q += qStep, out += outStep) {
    const first = max(0, before + t + 1 - window)
    const count = before + t + 1 - first
    for (let h: i32 = 0; h < heads; h++) {
      const head = (h / share) * width
      dots(dim, count, q + h * width, k + first * kStep + head, kStep, scale, scratch)
      const total = powers(count, scratch)
      mix(dim, count, scratch, v + first * vStep + head, vStep, out + h * width, 1 / total)
    }
  }
}

/** y[j] = scale x . rows[j] */
// @ts-ignore: decorator
@inline
function dots(dim: i32, count: i32, x: usize, rows: usize, step: i32, scale: f32, y: usize): void {
  let j: i32 = 0
  for (; j + 4 <= count; j += 4, rows += step << 2, y += 16) {
    const b = rows + step, c = b + step, d = c + step
    let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0
    let e: i32 = 0
    for (; e + 4 <= dim; e += 4) {
      const at = e << 2
      const one = v128.load(x + at)
      s0 = madd(one, v128.load(rows + at), s0)
      s1 = madd(one, v128.load(b + at), s1)
      s2 = madd(one, v128.load(c + at), s2)
      s3 = madd(one, v128.load(d + at), s3)
    }
    for (; e < dim; e++) {
      const at = e << 2
      const one = load1(x + at)
      s0 = madd(one, load1(rows + at), s0)
      s1 = madd(one, load1(b + at), s1)
      s2 = madd(one, load1(c + at), s2)
      s3 = madd(one, load1(d + at), s3)
    }
    store<f32>(y, sum4(s0) * scale)
    store<f32>(y, sum4(s1) * scale, 4)
    store<f32>(y, sum4(s2) * scale, 8)
    store<f32>(y, sum4(s3) * scale, 12)
  }
  for (; j < count; j++, rows += step, y += 4) {
    let sum = f32x4.splat(0)
    let e: i32 = 0
    for (; e + 4 <= dim; e += 4) sum = madd(v128.load(x + (e << 2)), v128.load(rows + (e << 2)), sum)
    for (; e < dim; e++) sum = madd(load1(x + (e << 2)), load1(rows + (e << 2)), sum)
    store<f32>(y, sum4(sum) * scale)
  }
}

/** x[j] = e^(x[j] - the largest); returns their sum. */
// @ts-ignore: decorator
@inline
function powers(count: i32, x: usize): f32 {
  let most = load<f32>(x)
  for (let j: i32 = 1; j < count; j++) most = max(most, load<f32>(x + (j << 2)))
  const largest = f32x4.splat(most), log2e = f32x4.splat(LOG2E)
  let sum = f32x4.splat(0)
  let j: i32 = 0
  for (; j + 4 <= count; j += 4) {
    const power = decay(f32x4.mul(f32x4.sub(v128.load(x + (j << 2)), largest), log2e))
    v128.store(x + (j << 2), power)
    sum = f32x4.add(sum, power)
  }
  let rest: f32 = 0
  for (; j < count; j++) {
    const at = x + (j << 2)
    store1(at, decay(f32x4.mul(f32x4.sub(load1(at), largest), log2e)))
    rest += load<f32>(at)
  }
  return sum4(sum) + rest
}

/** y = factor sum shares[j] rows[j] */
// @ts-ignore: decorator
@inline
function mix(dim: i32, count: i32, shares: usize, rows: usize, step: i32, y: usize, factor: f32): void {
  const by = f32x4.splat(factor)
  let e: i32 = 0
  for (; e + 16 <= dim; e += 16) {
    let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0
    let row = rows + (e << 2)
    for (let j: i32 = 0; j < count; j++, row += step) {
      const share = v128.load32_splat(shares + (j << 2))
      s0 = madd(share, v128.load(row), s0)
      s1 = madd(share, v128.load(row, 16), s1)
      s2 = madd(share, v128.load(row, 32), s2)
      s3 = madd(share, v128.load(row, 48), s3)
    }
    const to = y + (e << 2)
    v128.store(to, f32x4.mul(by, s0))
    v128.store(to, f32x4.mul(by, s1), 16)
    v128.store(to, f32x4.mul(by, s2), 32)
    v128.store(to, f32x4.mul(by, s3), 48)
  }
  for (; e < dim; e++) {
    let sum = f32x4.splat(0)
    let row = rows + (e << 2)
    for (let j: i32 = 0; j < count; j++, row += step) sum = madd(load1(shares + (j << 2)), load1(row), sum)
    store1(y + (e << 2), f32x4.mul(by, sum))
  }
}

/** Adds to dq, dk and dv, each of which may be 0; every sequence begins and ends in the segment. scratch: twice that of attendRows. */
export function attendGrad(
  rows: i32, heads: i32, share: i32, dim: i32, q: usize, qStep: i32, k: usize, kStep: i32, v: usize, vStep: i32,
  window: i32, scale: f32, dy: usize, dyStep: i32, dq: usize, dqStep: i32, dk: usize, dkStep: i32, dv: usize, dvStep: i32,
  scratch: usize,
): void {
  const width = dim << 2
  for (let t: i32 = 0; t < rows; t++) {
    const first = max(0, t + 1 - window)
    const count = t + 1 - first
    const dShares = scratch + attendScratch(count)
    for (let h: i32 = 0; h < heads; h++) {
      const head = (h / share) * width
      const query = q + t * qStep + h * width
      const d = dy + t * dyStep + h * width
      dots(dim, count, query, k + first * kStep + head, kStep, scale, scratch)
      const total = powers(count, scratch)
      dots(dim, count, d, v + first * vStep + head, vStep, 1, dShares)
      let mean: f32 = 0
      for (let j: i32 = 0; j < count; j++) {
        const power = load<f32>(scratch + (j << 2)) / total
        store<f32>(scratch + (j << 2), power)
        mean += power * load<f32>(dShares + (j << 2))
      }
      for (let j: i32 = 0; j < count; j++) {
        const power = load<f32>(scratch + (j << 2))
        const score = scale * power * (load<f32>(dShares + (j << 2)) - mean)
        const row = first + j
        if (dq) addScaled(dim, score, k + row * kStep + head, dq + t * dqStep + h * width)
        if (dk) addScaled(dim, score, query, dk + row * dkStep + head)
        if (dv) addScaled(dim, power, d, dv + row * dvStep + head)
      }
    }
  }
}

/** y += factor x, n numbers. */
// @ts-ignore: decorator
@inline
export function addScaled(n: i32, factor: f32, x: usize, y: usize): void {
  const by = f32x4.splat(factor)
  let e: i32 = 0
  for (; e + 4 <= n; e += 4) v128.store(y + (e << 2), madd(by, v128.load(x + (e << 2)), v128.load(y + (e << 2))))
  for (; e < n; e++) store1(y + (e << 2), madd(by, load1(x + (e << 2)), load1(y + (e << 2))))
}
