import { tokensPerRow } from '../engine/footprint.js'
import type { Output } from '../engine/outputs.js'
import { exitCodes, UserError } from '../errors.js'
import { discard } from '../runtime/discard.js'
import type { ModelSpec, Pool } from '../spec.js'
import { frameSeconds } from '../tokens/log-mel.js'
import type { Prediction } from './predict.js'

export type EmbedPool = Exclude<Pool, 'flatten'> | 'none'

/**
 * What an embedding wants of a model; `layer` counts the hidden states that the model lists, `bin` bases or seconds of which there is
 * one row. Errors: 2 for a layer that it has not, a bin that is no whole number of its rows, and one with another pooling than the mean.
 */
export function wantEmbedding(pool: EmbedPool, layer?: number, bin?: number): (spec: ModelSpec) => Output {
  return (spec) => {
    const { embedding, listed, final } = spec.hidden_states
    const count = listed + (embedding ? 1 : 0) + (final ? 1 : 0)
    if (layer !== undefined && layer >= count) {
      throw new UserError(`--layer ${layer}: the model lists hidden states 0 to ${count - 1}`, exitCodes.usage)
    }
    if (bin !== undefined) return { layer, bin: rowsOf(spec, pool, bin) }
    return pool === 'none' ? { layer } : { pool, layer }
  }
}

function rowsOf(spec: ModelSpec, pool: EmbedPool, bin: number): number {
  if (pool !== 'mean')
    throw new UserError(`--bin gives the mean of each bin: leave --pool ${pool} out`, exitCodes.usage)
  const size = rowSize(spec)
  const rows = Number((bin / size).toFixed(6))
  if (Number.isSafeInteger(rows) && rows > 0) return rows
  const unit = spec.input.kind === 'log-mel' ? 's' : 'bases'
  throw new UserError(
    `--bin ${bin}: expected a multiple of ${size} ${unit}, of which this model makes a row`,
    exitCodes.usage,
  )
}

/** Bases, or seconds of audio, that one row stands for. */
export const rowSize = (spec: ModelSpec) =>
  tokensPerRow(spec) * (spec.input.kind === 'log-mel' ? frameSeconds(spec.input) : 1)

/** Frees rows that were written and fill a buffer of their own: as garbage they would pile up. */
export function freeRows({ strands }: Prediction): void {
  for (const { buffer, byteLength } of strands) if (byteLength === buffer.byteLength) discard(buffer as ArrayBuffer)
}

/** [rows, D]: the mean over the strands that were read. */
export function embedding({ strands }: Pick<Prediction, 'strands'>): Float32Array {
  if (strands.length === 1) return strands[0]
  return strands[0].map((value, i) => (value + strands[1][i]) / 2)
}
