import type { FactorType } from '../backend.js'
import type { Dtype } from '../weight.js'
import { activations } from './elementwise.js'
import { numberAt, widening } from './halves.js'
import type { Kernel } from './kernel.js'
import type { SubgroupMatrices } from './matrices.js'
import { type Fusion, finished, type Product, readsOf, upTo } from './product.js'

/**
 * How a workgroup goes about a product: it makes `down` x `across` parts of the result, of `rows` x `cols` numbers, a subgroup each. Where it has
 * fewer subgroups than parts it takes several turns; where it has more, some do what another does.
 */
export interface MatrixTile {
  down: number
  across: number
  /** Multiples of 32. */
  rows: number
  cols: number
}

/** Those worth measuring, the one that is used first: which is fastest depends on the card (`longwave bench scan`). */
export const matrixTiles: readonly MatrixTile[] = [
  { down: 2, across: 2, rows: 32, cols: 32 },
  { down: 2, across: 2, rows: 32, cols: 64 },
  { down: 2, across: 2, rows: 64, cols: 32 },
]

/** `64 x 64 by 32 x 32, matrices of f16`: numbers of a workgroup, and of a subgroup. */
export const matrixTileName = (factor: FactorType, { down, across, rows, cols }: MatrixTile) =>
  `${down * rows} x ${across * cols} by ${rows} x ${cols}, matrices of ${factor}`

/** By matrices of subgroups, whose factors are rounded to their type. */
export const byMatrices = (matrices: SubgroupMatrices, tile = matrixTiles[0]): Product => ({
  rows: tile.down * tile.rows,
  cols: tile.across * tile.cols,
  kernel: (fused) => matrixProductKernel(matrices, tile, fused),
})

/**
 * y [T, O] = x [T, I] w' [O, I]. In workgroup memory the rows of both factors have 64 bytes, and lie 16 further apart: matrices must begin at
 * multiples of so many, and those that lie one under the other shall not share its banks.
 */
function matrixProductKernel(
  { factor, M, N, K, lanes }: SubgroupMatrices,
  { down, across, rows, cols }: MatrixTile,
  fused: Fusion,
): Kernel {
  const { dtype, bias, residual, activation } = fused
  const [tileRows, tileCols, parts] = [down * rows, across * cols, down * across]
  const [depth, step] = factor === 'f16' ? [32, 40] : [16, 20]
  const places = upTo(rows / M).flatMap((i) => upTo(cols / N).map((j) => ({ i, j, sum: `sum${i}_${j}` })))
  return {
    name: `matrix product ${[factor, M, N, K, lanes, down, across, rows, cols, bias, residual, activation, dtype].join(' ')}`,
    reads: readsOf(fused),
    dtypes: { w: dtype },
    writes: ['y'],
    counts: ['T', 'I', 'O', 'across'],
    threads: lanes,
    matrices: factor,
    library: `
${activations}
${widening[dtype]}
alias Left = subgroup_matrix_left<${factor}, ${K}, ${M}>;
alias Right = subgroup_matrix_right<${factor}, ${N}, ${K}>;
alias Sum = subgroup_matrix_result<f32, ${N}, ${M}>;
var<workgroup> xs: array<${factor}, ${tileRows * step}>;
var<workgroup> ws: array<${factor}, ${tileCols * step}>;
var<workgroup> sums: array<f32, ${parts * M * N}>;`,
    body: `
  let row = block / p.across * ${tileRows}u;
  let col = block % p.across * ${tileCols}u;
  let together = ${lanes}u / subgroup_size;
  for (var first = 0u; first < ${parts}u; first += together) {
    let own = min(first + subgroup, ${parts - 1}u);
    let down = own / ${across}u * ${rows}u;
    let right = own % ${across}u * ${cols}u;
    ${places.map(({ sum }) => `var ${sum} = Sum();`).join(' ')}
    for (var k = 0u; k < p.I; k += ${depth}u) {
      ${loaded({ into: 'xs', x: 'x', dtype: 'f32', first: 'row', end: 'T', count: tileRows * depth, depth, step, lanes, factor })}
      ${loaded({ into: 'ws', x: 'w', dtype, first: 'col', end: 'O', count: tileCols * depth, depth, step, lanes, factor })}
      workgroupBarrier();
      for (var c = 0u; c < ${depth}u; c += ${K}u) {
        ${upTo(rows / M)
          .map(
            (i) => `let a${i} = subgroupMatrixLoad<Left, row_major>(&xs, (down + ${i * M}u) * ${step}u + c, ${step}u);`,
          )
          .join('\n      ')}
        ${upTo(cols / N)
          .map(
            (j) =>
              `let b${j} = subgroupMatrixLoad<Right, col_major>(&ws, (right + ${j * N}u) * ${step}u + c, ${step}u);`,
          )
          .join('\n      ')}
        ${places.map(({ i, j, sum }) => `${sum} = subgroupMatrixMultiplyAccumulate(a${i}, b${j}, ${sum});`).join('\n      ')}
      }
      workgroupBarrier();
    }
    ${places
      .map(
        ({ i, j, sum }) => `
    subgroupMatrixStore<row_major>(&sums, own * ${M * N}u, ${sum}, ${N}u);
    workgroupBarrier();
    for (var i = first * ${M * N}u + lane; i < min(first + together, ${parts}u) * ${M * N}u; i += ${lanes}u) {
      let part = i / ${M * N}u;
      let r = row + part / ${across}u * ${rows}u + ${i * M}u + i % ${M * N}u / ${N}u;
      let c = col + part % ${across}u * ${cols}u + ${j * N}u + i % ${N}u;
      if (r < p.T && c < p.O) {
        y[p.y_at + r * p.y_step + c] = ${finished('sums[i]', fused)};
      }
    }
    workgroupBarrier();`,
      )
      .join('')}
  }`,
  }
}

interface Loaded {
  into: string
  x: string
  dtype: Dtype
  /** Row of the tile's first, and how many rows there are. */
  first: string
  end: string
  /** Numbers of the tile. */
  count: number
  depth: number
  step: number
  lanes: number
  factor: string
}

/** Copies a tile's rows of a factor, `depth` columns from `k` on, into workgroup memory; zeros beyond its ends. */
const loaded = ({ into, x, dtype, first, end, count, depth, step, lanes, factor }: Loaded) => `
    for (var i = lane; i < ${count}u; i += ${lanes}u) {
      let r = i / ${depth}u;
      let c = i % ${depth}u;
      var one = 0.0;
      if (${first} + r < p.${end} && k + c < p.I) {
        one = ${numberAt(dtype, x, `p.${x}_at + (${first} + r) * p.${x}_step + k + c`)};
      }
      ${into}[r * ${step}u + c] = ${factor}(one);
    }`
