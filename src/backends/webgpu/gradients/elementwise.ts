import type { Activation, Gradients, Tensor } from '../../backend.js'
import { activations } from '../elementwise.js'
import { cell, type Kernel } from '../kernel.js'
import type { Machine } from '../machine.js'
import { type GpuTensor, gpu } from '../tensor.js'

/** Slopes of the functions in math.ts. */
export const slopes = `
${activations}
fn sigmoid_slope(x: f32) -> f32 { return sigmoid(x) * sigmoid(-x); }
fn silu_slope(x: f32) -> f32 { return sigmoid(x) * (1.0 + x * sigmoid(-x)); }
fn gelu_slope(x: f32) -> f32 { return normal_cdf(x) + x * 0.3989422804014327 * exp(-min(0.5 * x * x, 80.0)); }
fn selu_slope(x: f32) -> f32 { return 1.0507009873554805 * select(1.6732632423543772 * exp(min(x, 0.0)), 1.0, x > 0.0); }
fn softplus_slope(x: f32) -> f32 { return select(sigmoid(x), 1.0, x > 20.0); }`

/** The slope of an activation at `value` in WGSL. */
export const sloped = (value: string, how: Activation): string => (how === 'none' ? '1.0' : `${how}_slope(${value})`)

interface Shape {
  value: string
  names: string[]
  add: boolean
}

const kernel = ({ value, names, add }: Shape): Kernel => ({
  name: `gradient ${add} ${names} ${value}`,
  reads: names,
  writes: ['y'],
  counts: ['rows', 'cols'],
  reals: ['factor'],
  threads: 64,
  library: slopes,
  body: `${cell}
  ${names.map((name) => `let ${name}_one = ${name}[p.${name}_at + r * p.${name}_step + c];`).join('\n  ')}
  y[p.y_at + r * p.y_step + c] ${add ? '+=' : '='} ${value};`,
})

/** y += (or =) `value`, element by element: WGSL of `<name>_one` for each of the tensors, and of p.factor. No y, no work. */
export function put(
  machine: Machine,
  y: Tensor | null,
  how: '+=' | '=',
  value: string,
  tensors: Record<string, Tensor>,
  factor = 1,
): void {
  if (!y) return
  const { rows, cols } = y
  const read = Object.fromEntries(Object.entries(tensors).map(([name, x]) => [name, gpu(x, rows, cols)]))
  machine.run(kernel({ value, names: Object.keys(tensors), add: how === '+=' }), {
    tensors: { ...read, y: gpu(y) },
    numbers: { rows, cols, factor },
    blocks: Math.ceil((rows * cols) / 64),
  })
}

/** A new tensor of `value`, as in `put`. */
export function made(machine: Machine, value: string, tensors: Record<string, Tensor>): GpuTensor {
  const [{ rows, cols }] = Object.values(tensors)
  const y = machine.allocate(rows, cols)
  put(machine, y, '=', value, tensors)
  return y
}

const factors = { multiply: 'b_one', gate: 'silu(b_one)', glu: 'sigmoid(b_one)' }
const factorSlopes = { multiply: '1.0', gate: 'silu_slope(b_one)', glu: 'sigmoid_slope(b_one)' }

export const combineGradient =
  (machine: Machine): Gradients['combine'] =>
  (d, a, b, how, { da, db }) => {
    if (how === 'add') {
      for (const into of [da, db]) put(machine, into, '+=', 'd_one', { d })
      return
    }
    put(machine, da, '+=', `d_one * ${factors[how]}`, { d, b })
    put(machine, db, '+=', `d_one * a_one * ${factorSlopes[how]}`, { d, a, ...(how !== 'multiply' && { b }) })
  }

export const activateGradient =
  (machine: Machine): Gradients['activate'] =>
  (d, x, how, dx) =>
    put(machine, dx, '+=', `d_one * ${sloped('x_one', how)}`, { d, x })

export const scaleGradient =
  (machine: Machine): Gradients['scale'] =>
  (d, factor, dx) =>
    put(machine, dx, '+=', 'p.factor * d_one', { d }, factor)
