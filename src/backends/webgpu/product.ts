import type { Activation } from '../backend.js'
import type { Dtype } from '../weight.js'
import { activated, activations } from './elementwise.js'
import { numberAt, widening } from './halves.js'
import type { Kernel } from './kernel.js'
import { type Tile, tileCols, tileRows } from './tile.js'

/** What kind of product it is, and what rides along with it. */
export interface Fused {
  /** Of w. */
  dtype: Dtype
  bias: boolean
  residual: boolean
  activation: Activation
  /** A factor lies as [I, T] or [I, O]. */
  turned: { x: boolean; w: boolean }
  /**
   * 'sums': y += the product. 'parts': the sums are cut into parts of `each` numbers, and y [parts T, O] are the products of each. A
   * result that is small, a sum of many, would leave most of a GPU idle.
   */
  into: 'result' | 'sums' | 'parts'
}

/** Of y = x w' with factors as they lie. */
export type Fusion = Omit<Fused, 'turned' | 'into'>

/** A way to make y = x w', with what rides along, and the rows and columns of the result that a workgroup of it makes. */
export interface Product {
  rows: number
  cols: number
  kernel(fused: Fusion): Kernel
}

/** By threads, in float32. */
export const byThreads = (tile: Tile): Product => ({
  rows: tileRows(tile),
  cols: tileCols(tile),
  kernel: (fused) => productKernel(tile, { ...fused, turned: { x: false, w: false }, into: 'result' }),
})

/** What a product reads: its factors, and what rides along. */
export const readsOf = ({ bias, residual }: Fusion): string[] =>
  ['x', 'w', bias && 'bias', residual && 'residual'].filter((name) => name !== false)

/** The WGSL of a number of the result in row r and column c, of its sum; with what rides along. */
export const finished = (sum: string, { bias, residual, activation }: Fusion): string =>
  activated(`${sum}${bias ? ' + bias[p.bias_at + c]' : ''}`, activation) +
  (residual ? ' + residual[p.residual_at + r * p.residual_step + c]' : '')

export const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

/**
 * y [T, O] = x [T, I] w' [O, I]. Rows of a thread are `down` apart and its columns `across`, so that neighbours read and write neighbours. In
 * workgroup memory the factors lie as [depth, rows of the tile], one number further from row to row.
 */
export const productKernel = (tile: Tile, fused: Fused): Kernel => {
  const { down, across, depth } = tile
  const { dtype, bias, residual, activation, turned, into } = fused
  const [xStep, wStep] = [tileRows(tile) + 1, tileCols(tile) + 1]
  const rows = upTo(tile.rows)
  const quads = upTo(tile.cols / 4)
  const weights = (q: number) => upTo(4).map((j) => `ws[b + ${(4 * q + j) * across}u]`)
  const parts = into === 'parts'
  return {
    name: `product ${Object.values(tile)} ${bias} ${residual} ${activation} ${turned.x} ${turned.w} ${into} ${dtype}`,
    reads: readsOf(fused),
    dtypes: { w: dtype },
    writes: ['y'],
    counts: ['T', 'I', 'O', 'across', ...(parts ? ['tiles', 'each'] : [])],
    threads: down * across,
    library: `
${activations}
${widening[dtype]}
var<workgroup> xs: array<f32, ${depth * xStep}>;
var<workgroup> ws: array<f32, ${depth * wStep}>;`,
    body: `
  ${parts ? 'let part = block / p.tiles;\n  let tile = block % p.tiles;' : 'let tile = block;'}
  let row = tile / p.across * ${tileRows(tile)}u;
  let col = tile % p.across * ${tileCols(tile)}u;
  let first = ${parts ? 'part * p.each' : '0u'};
  let end = ${parts ? 'min(p.I, first + p.each)' : 'p.I'};
  let down = lane / ${across}u;
  let right = lane % ${across}u;
  ${rows.flatMap((i) => quads.map((q) => `var sum${i}_${q} = vec4f();`)).join(' ')}
  for (var k = first; k < end; k += ${depth}u) {
    ${loaded({ into: 'xs', x: 'x', dtype: 'f32', end: 'T', first: 'row', rows: tileRows(tile), turned: turned.x }, tile)}
    ${loaded({ into: 'ws', x: 'w', dtype, end: 'O', first: 'col', rows: tileCols(tile), turned: turned.w }, tile)}
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
        let sum = sums[i * ${quads.length}u + j / 4u][j % 4u];
        y[p.y_at + ${parts ? '(part * p.T + r)' : 'r'} * p.y_step + c] ${into === 'sums' ? '+=' : '='} ${finished('sum', fused)};
      }
    }
  }`,
  }
}

interface Loaded {
  into: string
  x: string
  dtype: Dtype
  /** Rows of the factor that there are, and the first of the tile. */
  end: string
  first: string
  /** Of the tile. */
  rows: number
  turned: boolean
}

/** Copies a tile's rows of a factor, `depth` columns from `k` on, into workgroup memory; zeros beyond its ends. */
const loaded = ({ into, x, dtype, end, first, rows, turned }: Loaded, { down, across, depth }: Tile) => `
    for (var i = lane; i < ${rows * depth}u; i += ${down * across}u) {
      let r = i ${turned ? `% ${rows}u` : `/ ${depth}u`};
      let c = i ${turned ? `/ ${rows}u` : `% ${depth}u`};
      var one = 0.0;
      if (${first} + r < p.${end} && k + c < end) {
        one = ${numberAt(dtype, x, `p.${x}_at + ${turned ? `(k + c) * p.${x}_step + ${first} + r` : `(${first} + r) * p.${x}_step + k + c`}`)};
      }
      ${into}[c * ${rows + 1}u + r] = one;
    }`
