import type { FloatArray } from '../backends/backend.js'
import type { ModelSpec } from '../spec.js'

/**
 * How the two runs of a model with `reverse_complement` (Caduceus-PS) become the official outputs: `g` from the ids,
 * `r` from their reverse complement. L rows each; whole sequences only, for row t of g meets row L - 1 - t of r.
 */

/** The ids of the other strand: reversed, each replaced by its complement. Special ids at the end come first. */
export function reverseComplementIds(ids: Int32Array, complement: readonly number[]): Int32Array {
  const L = ids.length
  return Int32Array.from(ids, (_, t) => complement[ids[L - 1 - t]])
}

/** Token logits [L, V] from those of both runs. */
export function mergeLogits(g: FloatArray, r: FloatArray, spec: ModelSpec): Float32Array {
  const { complement, swapped } = ofSpec(spec, spec.blocks.length)
  const V = complement.length
  const L = g.length / V
  const merged = new Float32Array(g.length)
  for (let t = 0; t < L; t++) {
    const [row, mirror] = [t * V, (L - 1 - t) * V]
    for (let v = 0; v < V; v++) {
      merged[row + v] = swapped ? g[row + complement[v]] + r[mirror + v] : g[row + v] + r[mirror + complement[v]]
    }
  }
  return merged
}

/**
 * Hidden states [L, 2D] from those of both runs [L, D], after `blocks` blocks: 0 for the embeddings, i for what block
 * i - 1 gives, all of them for the final norm. One half of the channels is g, the other r with rows and channels reversed.
 */
export function mergeHidden(g: FloatArray, r: FloatArray, spec: ModelSpec, blocks: number): Float32Array {
  const { swapped } = ofSpec(spec, blocks)
  const D = spec.d_model
  const L = g.length / D
  const merged = new Float32Array(2 * g.length)
  const [ofG, ofR] = swapped ? [D, 0] : [0, D]
  for (let t = 0; t < L; t++) {
    const [row, mirror] = [t * D, (L - 1 - t) * D]
    for (let d = 0; d < D; d++) {
      merged[2 * row + ofG + d] = g[row + d]
      merged[2 * row + ofR + d] = r[mirror + D - 1 - d]
    }
  }
  return merged
}

function ofSpec({ reverse_complement: rc }: ModelSpec, blocks: number) {
  if (!rc) throw new Error('this model does not run on both strands')
  return { complement: rc.complement, swapped: rc.fused && blocks % 2 === 1 }
}
