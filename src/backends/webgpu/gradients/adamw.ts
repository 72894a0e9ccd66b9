import type { Gradients } from '../../backend.js'
import type { Kernel } from '../kernel.js'
import type { Machine } from '../machine.js'
import { gpu } from '../tensor.js'

/** One AdamW step (arXiv 1711.05101). meanFactor = 1 / (1 - beta1^step), squareFactor the same of beta2; decay = learning rate * weight decay. */
const kernel: Kernel = {
  name: 'adamw',
  reads: ['grad'],
  writes: ['param', 'm', 'v'],
  counts: ['rows', 'cols'],
  reals: ['lr', 'beta1', 'rest1', 'beta2', 'rest2', 'eps', 'decay', 'meanFactor', 'squareFactor', 'scale'],
  threads: 64,
  body: `
  let i = block * 64u + lane;
  if (i >= p.rows * p.cols) { return; }
  let r = i / p.cols;
  let c = i % p.cols;
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
  (param, grad, m, v, { lr, beta1, beta2, eps, weightDecay, step, scale }) => {
    const { rows, cols } = param
    machine.run(kernel, {
      tensors: { param: gpu(param), grad: gpu(grad, rows, cols), m: gpu(m, rows, cols), v: gpu(v, rows, cols) },
      numbers: {
        rows,
        cols,
        lr,
        beta1,
        rest1: 1 - beta1,
        beta2,
        rest2: 1 - beta2,
        eps,
        decay: lr * weightDecay,
        meanFactor: 1 / (1 - beta1 ** step),
        squareFactor: 1 / (1 - beta2 ** step),
        scale,
      },
      blocks: Math.ceil((rows * cols) / 64),
    })
  }
