import type { Matrix } from '../spec.js'

/** Where initial values are drawn from. */
export interface Random {
  /** Uniform in [low, high). */
  uniform(low: number, high: number): number
  /** Normal with mean 0 and deviation 1. */
  normal(): number
}

export const filled = (rows: number, cols: number, draw: (row: number, col: number) => number): Matrix => ({
  rows,
  cols,
  data: Float32Array.from({ length: rows * cols }, (_, i) => draw(Math.floor(i / cols), i % cols)),
})

export const constant = (cols: number, value: number): Matrix => filled(1, cols, () => value)

/** Uniform within `bound`. */
export const uniform = (random: Random, rows: number, cols: number, bound: number): Matrix =>
  filled(rows, cols, () => random.uniform(-bound, bound))

/** PyTorch's default for a linear layer: uniform within fan_in^-0.5, here smaller by `shrink`. */
export const linear = (random: Random, rows: number, cols: number, shrink = 1): Matrix =>
  uniform(random, rows, cols, 1 / Math.sqrt(cols) / shrink)
