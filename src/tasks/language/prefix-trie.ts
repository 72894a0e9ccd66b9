import { blank } from './ctc-decode.js'
import type { Context, NgramModel } from './ngram.js'

/** An n-gram model for shallow fusion: weight (above 0) times log P, plus the bonus, is added for each token. */
export interface LanguageModelOptions {
  model: NgramModel
  weight: number
  bonus: number
}

/** A text, as its last token and the text before it; `next` finds the same text again when another path leads to it. */
export interface Prefix<Holder> {
  token: number
  length: number
  before: Prefix<Holder> | null
  /** Texts with one token more; most have none. */
  next: Prefix<Holder>[]
  /** Its score by the language model, in nats, and the context of its next token. */
  language: number
  context: Context | null
  /** What keeps it; without one it goes when nothing begins with it. */
  holder: Holder | null
}

/** A trie of texts. Nodes that were pruned are used again: thousands come and go in a second. */
export class PrefixTrie<Holder> {
  /** What all texts have in common. */
  root: Prefix<Holder>
  private readonly unused: Prefix<Holder>[] = []

  constructor(private readonly language: LanguageModelOptions | undefined) {
    this.root = fresh()
    this.restart()
  }

  knows(before: Prefix<Holder>, token: number): boolean {
    for (const next of before.next) if (next.token === token) return true
    return false
  }

  /** The text with one token more, which must not be known yet. */
  longer(before: Prefix<Holder>, token: number): Prefix<Holder> {
    const { language } = this
    const prefix = this.unused.pop() ?? fresh<Holder>()
    prefix.token = token
    prefix.length = before.length + 1
    prefix.before = before
    prefix.language = before.language
    if (language && before.context) {
      prefix.language += language.weight * language.model.logP(before.context, token) + language.bonus
      prefix.context = language.model.after(before.context, token)
    }
    before.next.push(prefix)
    return prefix
  }

  /** The highest score that the language model can give a text with one token more. */
  mostLonger(before: Prefix<Holder>): number {
    return before.language + (this.language?.bonus ?? 0)
  }

  /** The text of a sequence that has not begun; no other must be left. */
  restart(): void {
    this.root.token = blank
    this.root.length = 0
    this.root.language = 0
    this.root.context = this.language?.model.start ?? null
  }

  /** Lets go of a text that has no holder any more, and of all that no other begins with. */
  prune(prefix: Prefix<Holder>): void {
    let at = prefix
    while (at.next.length === 0 && at.holder === null && at.before) {
      const { before } = at
      const last = before.next.pop()!
      if (last !== at) before.next[before.next.indexOf(at)] = last
      at.before = null
      this.unused.push(at)
      at = before
    }
  }

  /** Moves the root to where the texts part: memory does not grow with the sequence. */
  moveRoot(): void {
    while (this.root.next.length === 1 && this.root.holder === null) {
      const root = this.root.next.pop()!
      root.before = null
      this.unused.push(this.root)
      this.root = root
    }
  }
}

const fresh = <Holder>(): Prefix<Holder> => {
  return { token: blank, length: 0, before: null, next: [], language: 0, context: null, holder: null }
}
