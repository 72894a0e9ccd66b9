import type { DecodedToken } from './ctc-decode.js'

/** A word and when it was said, in seconds from the start of the recording. */
export interface Word {
  text: string
  start: number
  end: number
}

/** A word and the rows of its tokens: the first, and the one behind the last. */
export interface SpelledWord {
  text: string
  first: number
  end: number
}

/**
 * Decoded characters to words, piece by piece. `vocabulary[token]` is the text of a token, mostly one character; a
 * space ends a word, and so do `pause` rows without a token: whoever reads along would wait for the next word otherwise.
 */
export class Words {
  private word: SpelledWord | null = null

  constructor(
    private readonly vocabulary: readonly string[],
    private readonly pause: number,
  ) {}

  /** The first row of the word that is open. */
  get open(): number | undefined {
    return this.word?.first
  }

  /** The words that these tokens complete; no later one begins before the row `settled`. */
  push(tokens: readonly DecodedToken[], settled: number): SpelledWord[] {
    const done: SpelledWord[] = []
    for (const { token, first, last } of tokens) {
      done.push(...this.endBefore(first))
      for (const character of this.vocabulary[token]) {
        if (character === ' ') done.push(...this.end())
        else this.word = { text: (this.word?.text ?? '') + character, first: this.word?.first ?? first, end: last + 1 }
      }
    }
    done.push(...this.endBefore(settled))
    return done
  }

  /** The last word, if one is open. */
  end(): SpelledWord[] {
    const done = this.word ? [this.word] : []
    this.word = null
    return done
  }

  private endBefore(row: number): SpelledWord[] {
    return this.word && row - this.word.end >= this.pause ? this.end() : []
  }
}
