import type { Backend, Tensor } from '../backends/backend.js'
import type { Segments } from '../backends/segments.js'
import { exitCodes, UserError } from '../errors.js'
import type { Pool } from '../spec.js'

/**
 * One vector of each sequence that ends in the chunk: hidden [T', D] -> [ends, D], of `flatten` [S, L' D], a view. `center` (row
 * floor(L' / 2)) and `flatten` (all rows, one after the other) need whole sequences. carry [slots, 2 D]: see `Backend.pool`.
 */
export function poolRows(b: Backend, hidden: Tensor, segments: Segments, pool: Pool, carry: Tensor | null): Tensor {
  const { offsets, ends } = segments
  switch (pool) {
    case 'mean':
    case 'max':
    case 'last':
      return b.pool(hidden, segments, pool, carry)
    case 'center':
      return b.gatherRows(
        hidden,
        Int32Array.from(ends, (_, s) => (offsets[s] + offsets[s + 1]) >> 1),
      )
    case 'flatten':
      return b.reshape(hidden, ends.length, (hidden.rows / ends.length) * hidden.cols)
    default:
      return pool satisfies never
  }
}

/** The rows before the special tokens, `appended` of them, that a tokenizer adds at the end of a sequence; a view where one is all. */
export function withoutAppended(
  b: Backend,
  hidden: Tensor,
  segments: Segments,
  appended: number,
): { hidden: Tensor; segments: Segments } {
  if (appended === 0) return { hidden, segments }
  const { offsets, ends } = segments
  const kept: number[] = []
  const keptOffsets = new Int32Array(offsets.length)
  for (const [s, end] of ends.entries()) {
    for (let row = offsets[s]; row < offsets[s + 1] - end * appended; row++) kept.push(row)
    keptOffsets[s + 1] = kept.length
  }
  const rows = ends.length === 1 ? b.rows(hidden, 0, kept.length) : b.gatherRows(hidden, Int32Array.from(kept))
  return { hidden: rows, segments: { ...segments, offsets: keptOffsets } }
}

/** The error (65) about a sequence that is cut, where the pooling needs it whole. */
export function cutButNeeded(pool: Pool): UserError {
  return new UserError(
    `the pooling '${pool}' needs each sequence in one chunk: use --window or a larger --chunk`,
    exitCodes.data,
  )
}
