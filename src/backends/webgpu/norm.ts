import type { Backend } from '../backend.js'
import { groupsOf } from '../norm-groups.js'
import type { Kernel } from './kernel.js'
import type { Machine } from './machine.js'
import { columnsOf, type GpuTensor, gpu, optional } from './tensor.js'

/** The sum of what the threads of a workgroup of 64 have. */
export const total = `
var<workgroup> sums: array<f32, 64>;
fn total(lane: u32, sum: f32) -> f32 {
  sums[lane] = sum;
  workgroupBarrier();
  for (var reach = 32u; reach > 0u; reach /= 2u) {
    if (lane < reach) { sums[lane] += sums[lane + reach]; }
    workgroupBarrier();
  }
  let all = sums[0];
  workgroupBarrier();
  return all;
}`

/** Mean of the row of x at `row` (of RMSNorm 0), and the factor that it is scaled by; the variance is that of the differences from the mean. */
export const statistics = (center: boolean): string => `
  let row = p.x_at + block * p.x_step;
  var mean = 0.0;
  ${
    center
      ? `
  var sum = 0.0;
  for (var c = lane; c < p.cols; c += 64u) { sum += x[row + c]; }
  mean = total(lane, sum) / f32(p.cols);`
      : ''
  }
  var squares = 0.0;
  for (var c = lane; c < p.cols; c += 64u) {
    let d = x[row + c] - mean;
    squares += d * d;
  }
  let factor = 1.0 / sqrt(total(lane, squares) / f32(p.cols) + p.eps);`

/** A workgroup for each row. */
const normKernel = (center: boolean, weight: boolean, bias: boolean): Kernel => ({
  name: `norm ${center} ${weight} ${bias}`,
  reads: ['x', ...(weight ? ['weight'] : []), ...(bias ? ['bias'] : [])],
  writes: ['y'],
  counts: ['cols'],
  reals: ['eps'],
  threads: 64,
  library: total,
  body: `${statistics(center)}
  for (var c = lane; c < p.cols; c += 64u) {
    let scaled = (x[row + c] - mean) * factor;
    y[p.y_at + block * p.y_step + c] = scaled${weight ? ' * weight[p.weight_at + c]' : ''}${bias ? ' + bias[p.bias_at + c]' : ''};
  }`,
})

export const norm =
  (machine: Machine): Backend['norm'] =>
  (x, spec, weight, bias) => {
    const { rows, cols } = x
    const [w, b] = [optional(weight, 1, cols), optional(bias, 1, cols)]
    const y = machine.allocate(rows, cols)
    for (const [from, to] of groupsOf(cols, spec.groups)) {
      const part = (whole: GpuTensor) => columnsOf(whole, from, to)
      machine.run(normKernel(spec.kind === 'layer', !!w, !!b), {
        tensors: { x: part(gpu(x)), y: part(y), ...(w && { weight: part(w) }), ...(b && { bias: part(b) }) },
        numbers: { cols: to - from, eps: spec.eps },
        blocks: rows,
      })
    }
    return y
  }
