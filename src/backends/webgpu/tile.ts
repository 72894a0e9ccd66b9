/**
 * How a workgroup goes about a product: `down` x `across` threads, each of which makes `rows` x `cols` numbers of the result, while
 * `depth` columns of both factors at a time lie in workgroup memory.
 */
export interface Tile {
  down: number
  across: number
  rows: number
  /** A multiple of 4. */
  cols: number
  depth: number
}

/** Those worth measuring, the one that is used first: which is fastest depends on the card (`longwave bench scan`). */
export const tiles: readonly Tile[] = [
  { down: 16, across: 16, rows: 4, cols: 4, depth: 16 },
  { down: 16, across: 16, rows: 8, cols: 4, depth: 16 },
  { down: 16, across: 16, rows: 4, cols: 8, depth: 16 },
  { down: 16, across: 16, rows: 8, cols: 8, depth: 8 },
  { down: 8, across: 8, rows: 8, cols: 8, depth: 16 },
  { down: 8, across: 8, rows: 4, cols: 4, depth: 16 },
]

/** Rows of the result that a workgroup makes. */
export const tileRows = ({ down, rows }: Tile) => down * rows

/** Columns of it. */
export const tileCols = ({ across, cols }: Tile) => across * cols

/** `64 x 64 by 4 x 4`: numbers of a workgroup, and of a thread. */
export const tileName = (tile: Tile) => `${tileRows(tile)} x ${tileCols(tile)} by ${tile.rows} x ${tile.cols}`
