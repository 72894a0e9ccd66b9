import { exitCodes, UserError } from '../../errors.js'

/**
 * Tokens that came before, as far back as texts were seen to go on after them: a node of a trie that grows to the
 * right.
 */
export interface Context {
  /** How often its last token followed the tokens before that. */
  seen: number
  /** How often anything followed. */
  total: number
  /** How many tokens. */
  readonly length: number
  /** Without its first token; null where there is none. */
  readonly shorter: Context | null
  /** With one token more, by that token; null if nothing followed. */
  longer: Map<number, Context> | null
}

/**
 * How likely a token is after the ones before it, from texts: n-grams with Witten-Bell smoothing (Witten & Bell 1991),
 * each order leaning on the shorter one as far as its context is known for new continuations. A text begins after
 * nothing, and has no end.
 */
export class NgramModel {
  private contexts = 0
  private readonly nothing = contextOf(0, null)
  /** Of a text that has not begun: as if after a token that no text has. */
  readonly start = contextOf(1, this.nothing)

  /**
   * `texts` as tokens 1 .. V - 1; `order`: tokens of the longest n-gram. Errors: 69 for more n-grams than can be held.
   */
  constructor(
    texts: Iterable<ArrayLike<number>>,
    private readonly order: number,
    private readonly V: number,
  ) {
    for (const text of texts) {
      let context = this.start
      for (let i = 0; i < text.length; i++) {
        for (let at: Context | null = context; at; at = at.shorter) {
          at.total++
          this.grown(at, text[i]).seen++
        }
        context = this.room(context)?.longer?.get(text[i]) ?? this.nothing
      }
    }
  }

  /** The context after one more token: the longest that anything followed. */
  after(context: Context, token: number): Context {
    for (let at = this.room(context); at; at = at.shorter) {
      const next = at.longer?.get(token)
      if (next?.longer) return next
    }
    return this.nothing
  }

  /** log P(token | context) */
  logP(context: Context, token: number): number {
    return Math.log(this.probability(context, token))
  }

  private probability({ total, shorter, longer }: Context, token: number): number {
    const leaning = shorter ? this.probability(shorter, token) : 1 / (this.V - 1)
    if (!longer) return leaning
    return ((longer.get(token)?.seen ?? 0) + longer.size * leaning) / (total + longer.size)
  }

  /** The longest end of a context that may be one token longer. */
  private room(context: Context): Context | null {
    let at: Context | null = context
    while (at && at.length + 1 >= this.order) at = at.shorter
    return at
  }

  /** A context with one token more, and before it all that it ends with. */
  private grown(context: Context, token: number): Context {
    context.longer ??= new Map()
    let next = context.longer.get(token)
    if (!next) {
      if (++this.contexts > mostContexts) throw new UserError(tooMany, exitCodes.unavailable)
      next = contextOf(context.length + 1, context.shorter ? this.grown(context.shorter, token) : context)
      context.longer.set(token, next)
    }
    return next
  }
}

/** Each takes some 250 bytes, in every thread. The texts of `english` (95 kB) have 50,000. */
const mostContexts = 2_000_000
const tooMany = `the texts of the language have more than ${mostContexts} n-grams, expected a lower order or fewer texts`

const contextOf = (length: number, shorter: Context | null): Context => {
  return { seen: 0, total: 0, length, shorter, longer: null }
}
