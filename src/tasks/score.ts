import type { Output } from '../engine/outputs.js'
import { exitCodes, UserError } from '../errors.js'
import { N } from '../input/dna/letters.js'
import { isCausal } from '../layers/mixers/registry.js'
import type { Score } from '../output/scores.js'
import type { ModelSpec } from '../spec.js'
import type { Prediction } from './predict.js'
import { logSoftmaxRows } from './softmax.js'

/** Logits of the next base at every base. Errors: 2 for a model that does not predict it. */
export function wantNextBase({ input, head, stem, blocks }: ModelSpec): Output {
  const predicts = input.kind === 'tokens' && input.tokenizer === 'dna' && head?.kind === 'tokens' && stem.length === 0
  if (predicts && isCausal({ blocks })) return { head: true }
  const cure = 'longwave train next-base makes one that does'
  throw new UserError(`this model does not predict the next base; ${cure}`, exitCodes.usage)
}

/** Adds up what a model says of spans, which come strand by strand and perhaps in parts (`DnaOptions.letters`). */
export class Scores {
  /** [V] Of the strand at hand: log-probabilities of what is behind the last base that was read; null at its start. */
  private expected: Float64Array | null = null
  private strands: { bases: number; nats: number }[] = []
  private begins = true

  /** The span that this prediction completes, or null. */
  push({ span, last, strands: [logits], width: V, letters }: Prediction): Score | null {
    if (!letters) throw new Error('a prediction without its letters')
    const { codes, ends } = letters
    if (this.begins) this.strands.push({ bases: 0, nats: 0 })
    const strand = this.strands[this.strands.length - 1]
    const logP = logSoftmaxRows(logits, V)
    for (const [t, code] of codes.entries()) {
      const row = t === 0 ? this.expected : logP.subarray((t - 1) * V, t * V)
      if (row === null || code === N) continue
      strand.bases++
      strand.nats += row[code]
    }
    this.expected = ends ? null : logP.slice(-V)
    this.begins = ends
    if (!last) return null
    const { strands } = this
    this.strands = []
    const nats = strands.reduce((sum, one) => sum + one.nats, 0)
    const bases = strands.reduce((sum, one) => sum + one.bases, 0)
    const bitsPerBase = bases === 0 ? null : -nats / bases / Math.LN2
    return { ...span, bases: strands[0].bases, logLikelihood: nats / strands.length, bitsPerBase }
  }
}
