import type { Activation, Backend } from '../backend.js'
import { activated, activations } from './elementwise.js'
import type { Kernel } from './kernel.js'
import type { Machine } from './machine.js'
import { columnsOf, type GpuTensor, gpu, optional } from './tensor.js'
import { type Tile, tileCols, tileRows } from './tile.js'
import { partsOfWeight } from './weights.js'

interface Fused {
  bias: boolean
  residual: boolean
  activation: Activation
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

/**
 * Rows of a thread are `down` apart and its columns `across`, so that neighbours read and write neighbours. In workgroup memory the
 * factors lie as [depth, rows of the tile], one number further from row to row.
 */
const linearKernel = (tile: Tile, fused: Fused): Kernel => {
  const { down, across, depth } = tile
  const [xStep, wStep] = [tileRows(tile) + 1, tileCols(tile) + 1]
  const rows = upTo(tile.rows)
  const quads = upTo(tile.cols / 4)
  const weights = (q: number) => upTo(4).map((j) => `ws[b + ${(4 * q + j) * across}u]`)
  return {
    name: `linear ${Object.values(tile)} ${Object.values(fused)}`,
    reads: ['x', 'w', ...(fused.bias ? ['bias'] : []), ...(fused.residual ? ['residual'] : [])],
    writes: ['y'],
    counts: ['T', 'I', 'O', 'across'],
    threads: down * across,
    library: `
${activations}
var<workgroup> xs: array<f32, ${depth * xStep}>;
var<workgroup> ws: array<f32, ${depth * wStep}>;`,
    body: `
  let row = block / p.across * ${tileRows(tile)}u;
  let col = block % p.across * ${tileCols(tile)}u;
  let down = lane / ${across}u;
  let right = lane % ${across}u;
  ${rows.flatMap((i) => quads.map((q) => `var sum${i}_${q} = vec4f();`)).join(' ')}
  for (var k = 0u; k < p.I; k += ${depth}u) {
    ${loaded('xs', 'x', 'T', 'row', tileRows(tile), tile)}
    ${loaded('ws', 'w', 'O', 'col', tileCols(tile), tile)}
    workgroupBarrier();
    for (var c = 0u; c < ${depth}u; c++) {
      let a = c * ${xStep}u + down;
      let b = c * ${wStep}u + right;
      ${quads.map((q) => `let v${q} = vec4f(${weights(q).join(', ')});`).join(' ')}
      ${rows.flatMap((i) => quads.map((q) => `sum${i}_${q} += xs[a + ${down * i}u] * v${q};`)).join(' ')}
    }
    workgroupBarrier();
  }
  let sums = array<vec4f, ${rows.length * quads.length}>(${rows.flatMap((i) => quads.map((q) => `sum${i}_${q}`)).join(', ')});
  for (var i = 0u; i < ${tile.rows}u; i++) {
    let r = row + down + ${down}u * i;
    for (var j = 0u; j < ${tile.cols}u; j++) {
      let c = col + right + ${across}u * j;
      if (r < p.T && c < p.O) {
        let sum = sums[i * ${quads.length}u + j / 4u][j % 4u]${fused.bias ? ' + bias[p.bias_at + c]' : ''};
        y[p.y_at + r * p.y_step + c] = ${activated('sum', fused.activation)}${fused.residual ? ' + residual[p.residual_at + r * p.residual_step + c]' : ''};
      }
    }
  }`,
  }
}

/** Copies a tile's rows of a factor, `depth` columns from `k` on, into workgroup memory; zeros beyond its ends. */
const loaded = (into: string, x: string, end: string, first: string, rows: number, { down, across, depth }: Tile) => `
    for (var i = lane; i < ${rows * depth}u; i += ${down * across}u) {
      let r = i / ${depth}u;
      let c = i % ${depth}u;
      var one = 0.0;
      if (${first} + r < p.${end} && k + c < p.I) { one = ${x}[p.${x}_at + (${first} + r) * p.${x}_step + k + c]; }
      ${into}[c * ${rows + 1}u + r] = one;
    }`

export const linear =
  (machine: Machine, tile: Tile): Backend['linear'] =>
  async (x, weight, options = {}) => {
    await machine.pace()
    const [T, I, O] = [x.rows, x.cols, weight.rows]
    const bias = optional(options.bias, 1, O)
    const residual = optional(options.residual, T, O)
    const kernel = linearKernel(tile, { bias: !!bias, residual: !!residual, activation: options.activation ?? 'none' })
    const y = machine.allocate(T, O)
    let to = 0
    for (const part of partsOfWeight(weight)) {
      const [from, rows] = [to, part.rows]
      to += rows
      const across = Math.ceil(rows / tileCols(tile))
      const of = (whole: GpuTensor) => columnsOf(whole, from, to)
      machine.run(kernel, {
        tensors: {
          x: gpu(x),
          w: gpu(part, rows, I),
          y: of(y),
          ...(bias && { bias: of(bias) }),
          ...(residual && { residual: of(residual) }),
        },
        numbers: { T, I, O: rows, across },
        blocks: across * Math.ceil(T / tileRows(tile)),
      })
    }
    return y
  }
