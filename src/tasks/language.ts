/** How often one token followed a context. */
interface Followers {
  total: number
  counts: Map<number, number>
}

/**
 * How likely a token is after the ones before it, from texts: n-grams with Witten-Bell smoothing (Witten & Bell 1991), each order
 * leaning on the shorter one as far as its context is known for new continuations. A text begins after nothing, and has no end.
 */
export class Language {
  /** By context, a string with one code unit per token, up to order - 1 of them. */
  private readonly followers = new Map<string, Followers>()

  /** `texts` as tokens 1 .. V - 1; `order`: tokens of the longest n-gram. */
  constructor(
    texts: Iterable<ArrayLike<number>>,
    private readonly order: number,
    private readonly V: number,
  ) {
    for (const text of texts) {
      let context = start
      for (let i = 0; i < text.length; i++) {
        for (let from = 0; from <= context.length; from++) this.count(context.slice(from), text[i])
        context = this.after(context, text[i])
      }
    }
  }

  /** The context after one more token. */
  after(context: string, token: number): string {
    return (context + String.fromCharCode(token)).slice(Math.max(0, context.length + 2 - this.order))
  }

  /** log P(token | context) */
  logP(context: string, token: number): number {
    let p = 1 / (this.V - 1)
    for (let from = context.length; from >= 0; from--) {
      const known = this.followers.get(context.slice(from))
      if (!known) break
      const types = known.counts.size
      p = ((known.counts.get(token) ?? 0) + types * p) / (known.total + types)
    }
    return Math.log(p)
  }

  private count(context: string, token: number): void {
    const known = this.followers.get(context)
    if (!known) {
      this.followers.set(context, { total: 1, counts: new Map([[token, 1]]) })
      return
    }
    known.total++
    known.counts.set(token, (known.counts.get(token) ?? 0) + 1)
  }
}

/** The context of a text that has not begun: a token that no text has (the blank). */
export const start = String.fromCharCode(0)
