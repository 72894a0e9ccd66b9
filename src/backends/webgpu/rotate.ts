import type { Backend, Pairs } from '../backend.js'
import { pairsTurned } from '../pairs.js'
import type { Kernel } from './kernel.js'
import type { Machine } from './machine.js'
import { gpu } from './tensor.js'

/** `e`: the number of a head that is written; `pair`, and whether it is the first of it; `other`: the other one. */
const pairOf: Record<Pairs, string> = {
  halves: `
  let pair = e % p.n;
  let first = e < p.n;
  let other = select(i - p.n, i + p.n, first);`,
  neighbours: `
  let pair = e / 2u;
  let first = e % 2u == 0u;
  let other = select(i - 1u, i + 1u, first);`,
}

export const rotateKernel = (pairs: Pairs, way: 'on' | 'back'): Kernel => ({
  name: `rotate ${pairs} ${way}`,
  reads: ['x', 'turns'],
  writes: ['y'],
  counts: ['rows', 'cols', 'width', 'n'],
  threads: 64,
  body: `
  let number = block * 64u + lane;
  if (number >= p.rows * p.cols) { return; }
  let row = number / p.cols;
  let i = number % p.cols;
  let e = i % p.width;
  let given = p.x_at + row * p.x_step;
  let to = p.y_at + row * p.y_step + i;
  if (e >= 2u * p.n) {
    y[to] = x[given + i];
    return;
  }${pairOf[pairs]}
  let cosine = turns[p.turns_at + row * p.turns_step + pair];
  let sine = turns[p.turns_at + row * p.turns_step + p.n + pair];
  y[to] = x[given + i] * cosine + x[given + other] * select(${way === 'on' ? 'sine, -sine' : '-sine, sine'}, first);`,
})

export const rotate =
  (machine: Machine): Backend['rotate'] =>
  (x, turns, heads, pairs) => {
    const { rows, cols } = x
    const { width, n } = pairsTurned(cols, heads, turns.cols)
    const y = machine.allocate(rows, cols)
    machine.run(rotateKernel(pairs, 'on'), {
      tensors: { x: gpu(x), turns: gpu(turns, rows, 2 * n), y },
      numbers: { rows, cols, width, n },
      blocks: Math.ceil((rows * cols) / 64),
    })
    return y
  }
