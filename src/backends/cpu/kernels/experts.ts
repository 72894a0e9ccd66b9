// Rows that a mixture of experts shares out.
import { addScaled } from './attention'
import { load1, madd, sum4 } from './math'

/** y[ids[i]] += shares[ids[i]] x[i], ids int32; a share in each row. */
export function addRows(
  count: i32, cols: i32, x: usize, xStep: i32, ids: usize, shares: usize, sharesStep: i32, y: usize, yStep: i32,
): void {
  for (let i = 0; i < count; i++, ids += 4, x += xStep) {
    const row = load<i32>(ids)
    addScaled(cols, load<f32>(shares + row * sharesStep), x, y + row * yStep)
  }
}

/** dx[i] += shares[ids[i]] dy[ids[i]], dshares[ids[i]] += dy[ids[i]] . x[i]; dx and dshares may be 0. */
export function addRowsGrad(
  count: i32, cols: i32, dy: usize, dyStep: i32, x: usize, xStep: i32, ids: usize, shares: usize, sharesStep: i32,
  dx: usize, dxStep: i32, dshares: usize, dsharesStep: i32,
): void {
  for (let i = 0; i < count; i++, ids += 4) {
    const row = load<i32>(ids)
    const d = dy + row * dyStep
    const given = x + i * xStep
    if (dx) addScaled(cols, load<f32>(shares + row * sharesStep), d, dx + i * dxStep)
    if (!dshares) continue
    let sum = f32x4.splat(0)
    let e: i32 = 0
    for (; e + 4 <= cols; e += 4) sum = madd(v128.load(d + (e << 2)), v128.load(given + (e << 2)), sum)
    for (; e < cols; e++) sum = madd(load1(d + (e << 2)), load1(given + (e << 2)), sum)
    const at = dshares + row * dsharesStep
    store<f32>(at, load<f32>(at) + sum4(sum))
  }
}
