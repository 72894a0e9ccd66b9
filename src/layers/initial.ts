import { newWeight, type Weight } from '../backends/weight.js'

/** Where initial values are drawn from. */
export interface Random {
  /** Uniform in [low, high). */
  uniform(low: number, high: number): number
  /** Normal with mean 0 and deviation 1. */
  normal(): number
}

export const filled = (rows: number, cols: number, draw: (row: number, col: number) => number): Weight => {
  const weight = newWeight('f32', rows, cols)
  for (let i = 0; i < rows * cols; i++) weight.data[i] = draw(Math.floor(i / cols), i % cols)
  return weight
}

export const constant = (cols: number, value: number): Weight => filled(1, cols, () => value)

/** Uniform within `bound`. */
export const uniform = (random: Random, rows: number, cols: number, bound: number): Weight =>
  filled(rows, cols, () => random.uniform(-bound, bound))

/** PyTorch's default for a linear layer: uniform within fan_in^-0.5, here smaller by `shrink`. */
export const linear = (random: Random, rows: number, cols: number, shrink = 1): Weight =>
  uniform(random, rows, cols, 1 / Math.sqrt(cols) / shrink)
