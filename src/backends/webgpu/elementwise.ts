import type { Activation, Backend, Combination } from '../backend.js'
import { cell, type Kernel } from './kernel.js'
import type { Machine } from './machine.js'
import { gelu, selu, sigmoid } from './math.js'
import { gpu } from './tensor.js'

/** The WGSL of an activation of `value`. */
export const activated = (value: string, how: Activation): string => (how === 'none' ? value : `${how}(${value})`)

/** What `activated` calls. */
export const activations = sigmoid + gelu + selu

const combined: Record<Combination, string> = {
  add: 'u + v',
  multiply: 'u * v',
  gate: 'u * silu(v)',
  glu: 'u * sigmoid(v)',
}

const combineKernel = (how: Combination): Kernel => ({
  name: `combine ${how}`,
  reads: ['a', 'b'],
  writes: ['y'],
  counts: ['rows', 'cols'],
  threads: 64,
  library: sigmoid,
  body: `${cell}
  let u = a[p.a_at + r * p.a_step + c];
  let v = b[p.b_at + r * p.b_step + c];
  y[p.y_at + i] = ${combined[how]};`,
})

export const combine =
  (machine: Machine): Backend['combine'] =>
  (a, b, how) => {
    const { rows, cols } = a
    const y = machine.allocate(rows, cols)
    const tensors = { a: gpu(a), b: gpu(b, rows, cols), y }
    machine.run(combineKernel(how), { tensors, numbers: { rows, cols }, blocks: Math.ceil((rows * cols) / 64) })
    return y
  }

const activateKernel = (how: Activation): Kernel => ({
  name: `activate ${how}`,
  reads: ['x'],
  writes: ['y'],
  counts: ['rows', 'cols'],
  threads: 64,
  library: activations,
  body: `${cell}
  let value = x[p.x_at + r * p.x_step + c];
  y[p.y_at + i] = ${activated('value', how)};`,
})

export const activate =
  (machine: Machine): Backend['activate'] =>
  (x, how) => {
    if (how === 'none') return machine.copied(gpu(x))
    const { rows, cols } = x
    const y = machine.allocate(rows, cols)
    const tensors = { x: gpu(x), y }
    machine.run(activateKernel(how), { tensors, numbers: { rows, cols }, blocks: Math.ceil((rows * cols) / 64) })
    return y
  }

const scaleKernel: Kernel = {
  name: 'scale',
  reads: ['x'],
  writes: ['y'],
  counts: ['rows', 'cols'],
  reals: ['factor'],
  threads: 64,
  body: `${cell}
  y[p.y_at + i] = p.factor * x[p.x_at + r * p.x_step + c];`,
}

export const scale =
  (machine: Machine): Backend['scale'] =>
  (x, factor) => {
    const { rows, cols } = x
    const y = machine.allocate(rows, cols)
    const numbers = { rows, cols, factor }
    machine.run(scaleKernel, { tensors: { x: gpu(x), y }, numbers, blocks: Math.ceil((rows * cols) / 64) })
    return y
  }
