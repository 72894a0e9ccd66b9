import type { Activation, Backend } from '../backend.js'
import { activated, activations } from './elementwise.js'
import type { Kernel } from './kernel.js'
import type { Machine } from './machine.js'
import { gpu, optional } from './tensor.js'

interface Fused {
  bias: boolean
  residual: boolean
  activation: Activation
}

/**
 * A workgroup of 16 x 16 threads makes 64 x 64 numbers of y, a thread 4 x 4 of them: rows and columns 16 apart, so that neighbours read
 * and write neighbours. 16 columns of x and of the weight at a time lie in workgroup memory, as [16, 64] with a step of 65.
 */
const linearKernel = ({ bias, residual, activation }: Fused): Kernel => {
  const four = [0, 1, 2, 3]
  return {
    name: `linear ${bias} ${residual} ${activation}`,
    reads: ['x', 'w', ...(bias ? ['bias'] : []), ...(residual ? ['residual'] : [])],
    writes: ['y'],
    counts: ['T', 'I', 'O', 'across'],
    threads: 256,
    library: `
${activations}
var<workgroup> xs: array<f32, 1040>;
var<workgroup> ws: array<f32, 1040>;`,
    body: `
  let row = block / p.across * 64u;
  let col = block % p.across * 64u;
  let down = lane / 16u;
  let right = lane % 16u;
  ${four.map((i) => `var sum${i} = vec4f();`).join(' ')}
  for (var k = 0u; k < p.I; k += 16u) {
    for (var i = lane; i < 1024u; i += 256u) {
      let r = i / 16u;
      let c = i % 16u;
      var one = 0.0;
      if (row + r < p.T && k + c < p.I) { one = x[p.x_at + (row + r) * p.x_step + k + c]; }
      xs[c * 65u + r] = one;
      one = 0.0;
      if (col + r < p.O && k + c < p.I) { one = w[p.w_at + (col + r) * p.w_step + k + c]; }
      ws[c * 65u + r] = one;
    }
    workgroupBarrier();
    for (var c = 0u; c < 16u; c++) {
      let a = c * 65u + down;
      let b = c * 65u + right;
      let v = vec4f(ws[b], ws[b + 16u], ws[b + 32u], ws[b + 48u]);
      ${four.map((i) => `sum${i} += xs[a + ${16 * i}u] * v;`).join(' ')}
    }
    workgroupBarrier();
  }
  let sums = array<vec4f, 4>(sum0, sum1, sum2, sum3);
  for (var i = 0u; i < 4u; i++) {
    let r = row + down + 16u * i;
    for (var j = 0u; j < 4u; j++) {
      let c = col + right + 16u * j;
      if (r < p.T && c < p.O) {
        let sum = sums[i][j]${bias ? ' + bias[p.bias_at + c]' : ''};
        y[p.y_at + r * p.O + c] = ${activated('sum', activation)}${residual ? ' + residual[p.residual_at + r * p.residual_step + c]' : ''};
      }
    }
  }`,
  }
}

export const linear =
  (machine: Machine): Backend['linear'] =>
  async (x, weight, options = {}) => {
    await machine.pace()
    const [T, I, O] = [x.rows, x.cols, weight.rows]
    const bias = optional(options.bias, 1, O)
    const residual = optional(options.residual, T, O)
    const kernel = linearKernel({ bias: !!bias, residual: !!residual, activation: options.activation ?? 'none' })
    const y = machine.allocate(T, O)
    const across = Math.ceil(O / 64)
    machine.run(kernel, {
      tensors: { x: gpu(x), w: gpu(weight, O, I), y, ...(bias && { bias }), ...(residual && { residual }) },
      numbers: { T, I, O, across },
      blocks: across * Math.ceil(T / 64),
    })
    return y
  }
