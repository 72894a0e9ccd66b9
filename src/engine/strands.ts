import type { Segments } from '../backends/segments.js'
import { mergeHidden, mergeLogits, reverseComplementIds } from '../layers/reverse-complement.js'
import type { ModelSpec } from '../spec.js'
import type { Chunk } from './chunk.js'
import type { Output, Read } from './outputs.js'

/** The reverse complement of each sequence, in its place. */
export function otherStrand({ input, segments }: Chunk, { reverse_complement: rc }: ModelSpec): Chunk {
  if (!rc || !(input instanceof Int32Array)) throw new Error('this model does not run on both strands')
  const { offsets } = segments
  const other = new Int32Array(input.length)
  for (let s = 0; s + 1 < offsets.length; s++) {
    other.set(reverseComplementIds(input.subarray(offsets[s], offsets[s + 1]), rc.complement), offsets[s])
  }
  return { input: other, segments }
}

/** What the official code gives for an output, from the rows of both runs: logits [T, V], or hidden rows [T, 2D]. */
export function mergedRows(
  g: Read,
  r: Read,
  { offsets }: Segments,
  { layer, head }: Output,
  spec: ModelSpec,
): { data: Float32Array; width: number } {
  const { listed } = spec.hidden_states
  const blocks = layer === undefined || layer > listed ? spec.blocks.length : layer
  const width = head ? g.width : 2 * g.width
  const data = new Float32Array((g.data.length / g.width) * width)
  for (let s = 0; s + 1 < offsets.length; s++) {
    const [from, to] = [offsets[s] * g.width, offsets[s + 1] * g.width]
    const [ofG, ofR] = [g.data.subarray(from, to), r.data.subarray(from, to)]
    data.set(head ? mergeLogits(ofG, ofR, spec) : mergeHidden(ofG, ofR, spec, blocks), offsets[s] * width)
  }
  return { data, width }
}
