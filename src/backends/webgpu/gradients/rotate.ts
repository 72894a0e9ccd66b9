import type { Gradients, Pairs } from '../../backend.js'
import { pairsTurned } from '../../pairs.js'
import type { Kernel } from '../kernel.js'
import type { Machine } from '../machine.js'
import { rotateKernel } from '../rotate.js'
import { gpu, optional } from '../tensor.js'
import { put } from './elementwise.js'

/** A thread for each pair of a row: all heads turn by the same angle. */
const turnsKernel = (pairs: Pairs): Kernel => ({
  name: `rotate gradient ${pairs}`,
  reads: ['d', 'x'],
  writes: ['y'],
  counts: ['rows', 'cols', 'width', 'n'],
  threads: 64,
  body: `
  let i = block * 64u + lane;
  if (i >= p.rows * p.n) { return; }
  let row = i / p.n;
  let pair = i % p.n;
  var cosine = 0.0;
  var sine = 0.0;
  for (var head = 0u; head < p.cols; head += p.width) {
    let a = head + ${pairs === 'halves' ? 'pair' : '2u * pair'};
    let b = a + ${pairs === 'halves' ? 'p.n' : '1u'};
    let da = d[p.d_at + row * p.d_step + a];
    let db = d[p.d_at + row * p.d_step + b];
    let xa = x[p.x_at + row * p.x_step + a];
    let xb = x[p.x_at + row * p.x_step + b];
    cosine += da * xa + db * xb;
    sine += db * xa - da * xb;
  }
  y[p.y_at + row * p.y_step + pair] += cosine;
  y[p.y_at + row * p.y_step + p.n + pair] += sine;`,
})

export const rotateGradient =
  (machine: Machine): Gradients['rotate'] =>
  (dy, input, turns, heads, pairs, { dx, dturns }) => {
    const { rows, cols } = dy
    const { width, n } = pairsTurned(cols, heads, turns.cols)
    const numbers = { rows, cols, width, n }
    const d = gpu(dy)
    if (dx) {
      const back = machine.allocate(rows, cols)
      machine.run(rotateKernel(pairs, 'back'), {
        tensors: { x: d, turns: gpu(turns, rows, 2 * n), y: back },
        numbers,
        blocks: Math.ceil((rows * cols) / 64),
      })
      put(machine, dx, '+=', 'back_one', { back })
      machine.release(back)
    }
    const y = optional(dturns, rows, 2 * n)
    if (y) {
      const x = gpu(input, rows, cols)
      machine.run(turnsKernel(pairs), { tensors: { d, x, y }, numbers, blocks: Math.ceil((rows * n) / 64) })
    }
  }
