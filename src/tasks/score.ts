import type { Output } from '../engine/outputs.js'
import { exitCodes, UserError } from '../errors.js'
import { isCausal } from '../layers/mixers/registry.js'
import type { ModelSpec } from '../spec.js'
import type { Prediction } from './predict.js'
import type { Span } from './windows.js'

/** How likely a model takes a record, or a window, to be. */
export interface Scored {
  span: Span
  /** Bases that were predicted: all but the first of a strand, and N. */
  bases: number
  /** Nats: the sum of the logarithms of their probabilities; of both strands the mean. */
  logLikelihood: number
  /** 2 is a guess; null: no base was predicted. */
  bitsPerBase: number | null
}

/** Logits of the next base at every base. Errors: 2 for a model that does not predict it. */
export function wantNextBase({ input, head, stem, blocks }: ModelSpec): Output {
  const predicts = input.kind === 'tokens' && input.tokenizer === 'dna' && head?.kind === 'tokens' && stem.length === 0
  if (predicts && isCausal({ blocks })) return { head: true }
  const cure = 'longwave train next-base makes one that does'
  throw new UserError(`this model does not predict the next base; ${cure}`, exitCodes.usage)
}

const N = 4

/** Adds up what a model says of spans, which come strand by strand and perhaps in parts (`DnaOptions.letters`). */
export class Scores {
  /** Of the strand at hand: what the model expects behind the last base that was read; null at its start. */
  private expected: Float32Array | null = null
  private strands: { bases: number; nats: number }[] = []
  private begins = true

  /** The span that this prediction completes, or null. */
  push({ span, last, strands: [logits], width: V, letters }: Prediction): Scored | null {
    if (!letters) throw new Error('a prediction without its letters')
    const { codes, ends } = letters
    if (this.begins) this.strands.push({ bases: 0, nats: 0 })
    const strand = this.strands[this.strands.length - 1]
    for (const [t, code] of codes.entries()) {
      const row = t === 0 ? this.expected : logits.subarray((t - 1) * V, t * V)
      if (row === null || code === N) continue
      strand.bases++
      strand.nats += logProbability(row, code)
    }
    this.expected = ends ? null : logits.slice(-V)
    this.begins = ends
    if (!last) return null
    const { strands } = this
    this.strands = []
    const nats = strands.reduce((sum, one) => sum + one.nats, 0)
    const bases = strands.reduce((sum, one) => sum + one.bases, 0)
    const bitsPerBase = bases === 0 ? null : -nats / bases / Math.LN2
    return { span, bases: strands[0].bases, logLikelihood: nats / strands.length, bitsPerBase }
  }
}

/** Of a class, by the logits of all of them. */
function logProbability(logits: Float32Array, index: number): number {
  let top = -Infinity
  for (const x of logits) top = Math.max(top, x)
  let sum = 0
  for (const x of logits) sum += Math.exp(x - top)
  return logits[index] - top - Math.log(sum)
}
