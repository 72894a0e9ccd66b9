import { adamwNumbers } from '../../adamw.js'
import type { Gradients } from '../../backend.js'
import { cell, type Kernel } from '../kernel.js'
import type { Machine } from '../machine.js'
import { gpu } from '../tensor.js'

/** One AdamW step; its numbers: `adamwNumbers`. */
const kernel: Kernel = {
  name: 'adamw',
  reads: ['grad'],
  writes: ['param', 'm', 'v'],
  counts: ['rows', 'cols'],
  reals: ['lr', 'beta1', 'rest1', 'beta2', 'rest2', 'eps', 'decay', 'meanFactor', 'squareFactor', 'scale'],
  threads: 64,
  body: `${cell}
  let g = p.scale * grad[p.grad_at + r * p.grad_step + c];
  let mean = p.beta1 * m[p.m_at + r * p.m_step + c] + p.rest1 * g;
  let square = p.beta2 * v[p.v_at + r * p.v_step + c] + p.rest2 * g * g;
  m[p.m_at + r * p.m_step + c] = mean;
  v[p.v_at + r * p.v_step + c] = square;
  let at = p.param_at + r * p.param_step + c;
  let change = mean * p.meanFactor / (sqrt(square * p.squareFactor) + p.eps);
  param[at] -= p.lr * change + p.decay * param[at];`,
}

export const adamw =
  (machine: Machine): Gradients['adamw'] =>
  (param, grad, m, v, settings) => {
    const { rows, cols } = param
    machine.run(kernel, {
      tensors: { param: gpu(param), grad: gpu(grad, rows, cols), m: gpu(m, rows, cols), v: gpu(v, rows, cols) },
      numbers: {
        rows,
        cols,
        ...adamwNumbers(settings),
      },
      blocks: Math.ceil((rows * cols) / 64),
    })
  }
