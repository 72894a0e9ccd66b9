import type { Backend, FloatArray, Segments, Tensor } from '../backends/backend.js'
import { exitCodes, UserError } from '../errors.js'
import type { Pool } from '../spec.js'

/**
 * One vector per sequence from its hidden rows. Sums are float64 and carried in reading order, so that a sequence gives
 * the same bytes however it is cut. `center` (row floor(L' / 2)) and `flatten` (all rows) need it uncut.
 */
export class Readout {
  private carry: Float64Array | null = null
  private carriedRows = 0
  private lastRow: FloatArray | null = null

  constructor(
    private readonly backend: Backend,
    private readonly pool: Pool,
  ) {}

  /**
   * A last piece without any row of its own (all of them were special tokens) ends its sequence as it stood.
   *
   * hidden [T', D] -> [S, D] for the S sequences that end in this chunk (`flatten`: [S, L' D]); null when none does.
   */
  async push(hidden: Tensor, segments: Segments): Promise<Tensor | null> {
    const { offsets, continues, goesOn } = segments
    const ended = offsets.length - 1 - (goesOn ? 1 : 0)
    switch (this.pool) {
      case 'mean':
      case 'max':
        return this.reduce(hidden, segments, ended)
      case 'last':
        return this.last(hidden, segments, ended)
      case 'center': {
        if (continues || goesOn) throw needsWhole(this.pool)
        const centers = offsets.slice(1).map((end, s) => (offsets[s] + end) >> 1)
        return this.backend.gatherRows(hidden, centers)
      }
      case 'flatten': {
        if (continues || goesOn) throw needsWhole(this.pool)
        const rows = await this.backend.download(hidden)
        return this.backend.upload(rows, ended, (hidden.rows / ended) * hidden.cols)
      }
      default:
        return this.pool satisfies never
    }
  }

  private async last(hidden: Tensor, { offsets, goesOn }: Segments, ended: number): Promise<Tensor | null> {
    if (hidden.rows === 0) return this.backend.upload(this.lastRow!, 1, hidden.cols)
    if (goesOn) {
      const row = this.backend.gatherRows(hidden, Int32Array.of(hidden.rows - 1))
      this.lastRow = await this.backend.download(row)
      this.backend.release(row)
    }
    return ended > 0
      ? this.backend.gatherRows(
          hidden,
          offsets.slice(1, ended + 1).map((end) => end - 1),
        )
      : null
  }

  private reduce(hidden: Tensor, segments: Segments, ended: number): Tensor | null {
    const { offsets, continues, goesOn } = segments
    const D = hidden.cols
    const before = continues ? this.carriedRows : 0
    const mean = this.pool === 'mean'
    const reduced =
      hidden.rows === 0
        ? this.carry!.slice()
        : this.backend.reduceRows(hidden, segments, mean ? 'sum' : 'max', continues ? this.carry : null)
    if (goesOn) {
      this.carry = reduced.slice(ended * D)
      this.carriedRows = offsets[ended + 1] - offsets[ended] + (ended === 0 ? before : 0)
    }
    if (ended === 0) return null
    if (mean) {
      for (let s = 0; s < ended; s++) {
        const rows = offsets[s + 1] - offsets[s] + (s === 0 ? before : 0)
        for (let d = s * D; d < (s + 1) * D; d++) reduced[d] /= rows
      }
    }
    return this.backend.upload(reduced.subarray(0, ended * D), ended, D)
  }
}

function needsWhole(pool: Pool): UserError {
  return new UserError(
    `the read-out '${pool}' needs each sequence in one chunk: use --window or a larger --chunk`,
    exitCodes.data,
  )
}
