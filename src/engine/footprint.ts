import { feedForwardsOf } from '../layers/feed-forward/registry.js'
import { familyOf } from '../layers/mixers/registry.js'
import type { BlockSpec, ModelSpec } from '../spec.js'

/** Numbers that a chunk takes for each row of the residual stream while it is computed. */
export interface Footprint {
  /** In its widest tensor. */
  widest: number
  /** In all that it holds at a time. */
  together: number
}

/** Integers of a segment in a table of a kernel: there may be as many segments as tokens. */
const tableWidth = 6

/** An upper bound; what does not grow with the rows is left out. `head`: numbers that the head makes of each row at the same time. */
export function footprint(spec: ModelSpec, head = headWidth(spec)): Footprint {
  const moments = [...stems(spec), ...spec.blocks.flatMap((block) => halves(block, spec.d_model)), outputs(spec, head)]
  return {
    widest: Math.max(tableWidth * tokensPerRow(spec), ...moments.flat()),
    together: Math.max(...moments.map((widths) => widths.reduce((sum, width) => sum + width, 0))),
  }
}

/** Tokens per row of the residual stream. */
export const tokensPerRow = ({ stem }: ModelSpec): number => stem.reduce((product, { stride }) => product * stride, 1)

/** The embedding, then each convolution of the stem: its input, the windows on it and its output. */
function stems(spec: ModelSpec): number[][] {
  let [rows, width] = [tokensPerRow(spec), spec.d_embed]
  const moments = [[rows * width]]
  for (const { window, stride, d_out } of spec.stem) {
    const input = rows * width
    rows /= stride
    moments.push([input, rows * window * width, rows * d_out])
    width = d_out
  }
  return moments
}

/** The mixer and the feed-forward parts of a block, each with what comes in, normed and not, and what goes out. */
function halves(block: BlockSpec, D: number): number[][] {
  const { mixer } = block
  return [
    [D, D, D, ...familyOf(mixer).widths(mixer, D)],
    ...feedForwardsOf(block).map(({ kind, spec }) => [D, D, D, ...kind.widths(spec, D)]),
  ]
}

/** Rows before and after the final norm, merged ones where both strands are read, what the head makes of each, and what is read back. */
function outputs({ d_model: D, reverse_complement: both }: ModelSpec, V: number): number[] {
  const merged = both ? 2 * D : D
  return [D, D, merged, V, Math.max(merged, V)]
}

/** Numbers that the head makes of a row. */
export function headWidth({ head, input, d_model }: ModelSpec): number {
  switch (head?.kind) {
    case 'tokens':
      return input.kind === 'tokens' ? input.vocab_size : d_model
    case 'ctc':
      return head.vocabulary.length
    case 'forecast':
      return head.quantiles.length * head.d_basis
    case 'classes':
      return head.labels.length
    default:
      return 0
  }
}
