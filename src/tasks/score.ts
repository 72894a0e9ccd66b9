import type { Output } from '../engine/outputs.js'
import { exitCodes, UserError } from '../errors.js'
import type { Score } from '../output/scores.js'
import type { TokenScore } from '../output/token-scores.js'
import type { ModelSpec } from '../spec.js'
import { dnaTokenizer } from '../tokens/tokenizer.js'
import type { Prediction } from './predict.js'
import { readsForward } from './targets.js'
import type { Span } from './windows.js'

/** The likelihoods of tokens. Errors: 2 for a model that predicts none. */
export function wantLikelihoods(spec: ModelSpec): Output {
  const { input, head, stem } = spec
  const predicts = input.kind === 'tokens' && head?.kind === 'tokens' && stem.length === 0
  const masks = input.kind === 'tokens' && input.tokenizer !== 'ids' && dnaTokenizer(input).mask !== undefined
  if (predicts && (readsForward(spec) || masks)) return { head: true, likelihood: true }
  const cure = 'longwave train next-base makes one that does'
  throw new UserError(`this model predicts neither the next token nor masked ones; ${cure}`, exitCodes.usage)
}

/** Adds up what a model says of spans, strand by strand and part by part. */
export class Scores {
  private readonly strands = new Map<'+' | '-', { tokens: number; nats: number; embedding?: Float32Array }>()

  /** The span that this prediction completes, or null; of each strand its embedding, where it was wanted. */
  push({ span, last, strands: [logP], targets, embedding }: Prediction): (Score & { strands: Float32Array[] }) | null {
    if (!targets) throw new Error('a prediction of nothing that was asked for')
    const { ids, strand } = targets
    const sum = this.strands.get(strand) ?? { tokens: 0, nats: 0 }
    this.strands.set(strand, sum)
    if (embedding) sum.embedding = embedding
    for (const [t, id] of ids.entries()) {
      if (id < 0) continue
      sum.tokens++
      sum.nats += logP[t]
    }
    if (!last) return null
    const all = [...this.strands.values()]
    this.strands.clear()
    const nats = all.reduce((sum, one) => sum + one.nats, 0)
    const tokens = all.reduce((sum, one) => sum + one.tokens, 0)
    const bits = tokens === 0 ? null : -nats / tokens / Math.LN2
    const strands = all.flatMap(({ embedding }) => embedding ?? [])
    return { ...span, tokens: all[0].tokens, logLikelihood: nats / all.length, bits, strands }
  }
}

/** What a model says of single tokens, in the order of their places: of spans that are read whole, strand after strand. */
export class TokenScores {
  private readonly held = new Map<'+' | '-', { ids: Int32Array; logP: Float32Array }>()

  /** `spell`: a token as it is written. */
  constructor(private readonly spell: (id: number) => string) {}

  /** Those that are known with this prediction. */
  *push({ span, last, strands: [logP], targets }: Prediction): Generator<TokenScore> {
    const { ids, row, ahead, strand } = targets!
    // What is read forward, perhaps in many pieces, is in order.
    if (strand === '+' && ahead === 1) return yield* this.rows(span, strand, span.start + row + 1, { ids, logP })
    const length = span.end - span.start
    const held = this.held.get(strand) ?? { ids: new Int32Array(length).fill(-1), logP: new Float32Array(length) }
    this.held.set(strand, held)
    for (const [t, id] of ids.entries()) {
      if (id < 0) continue
      const at = strand === '+' ? row + t + ahead : length - 1 - row - t - ahead
      held.ids[at] = id
      held.logP[at] = logP[t]
    }
    if (!last) return
    for (const [strand, all] of this.held) yield* this.rows(span, strand, span.start, all)
    this.held.clear()
  }

  private *rows(
    { record }: Span,
    strand: '+' | '-',
    from: number,
    { ids, logP }: { ids: Int32Array; logP: Float32Array },
  ): Generator<TokenScore> {
    for (const [t, id] of ids.entries())
      if (id >= 0) yield { record, position: from + t, strand, id, token: this.spell(id), logP: logP[t] }
  }
}
