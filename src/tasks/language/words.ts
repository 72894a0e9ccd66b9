import type { DecodedToken } from './ctc-decode.js'

/** A word and when it was said, in seconds from the start of the recording. */
export interface Word {
  text: string
  start: number
  end: number
}

/**
 * Decoded characters to words, piece by piece. `vocabulary[token]` is the text of a token, mostly one character; a
 * space separates words. A word lasts from the start of its first row to the end of its last one; `rowSeconds` is the
 * length of a row. CTC peaks lie inside the sounds they stand for, so a word is a little longer than it says. `offset`:
 * seconds before the first row.
 */
export class Words {
  private word: Word | null = null

  constructor(
    private readonly vocabulary: readonly string[],
    private readonly rowSeconds: number,
    private readonly offset = 0,
  ) {}

  /** The words that these tokens complete. */
  push(tokens: readonly DecodedToken[]): Word[] {
    const done: Word[] = []
    for (const { token, row } of tokens) {
      const [start, end] = [row, row + 1].map((edge) => this.offset + edge * this.rowSeconds)
      for (const character of this.vocabulary[token]) {
        if (character === ' ') done.push(...this.end())
        else this.word = { text: (this.word?.text ?? '') + character, start: this.word?.start ?? start, end }
      }
    }
    return done
  }

  /** The last word, if one is open. */
  end(): Word[] {
    const done = this.word ? [this.word] : []
    this.word = null
    return done
  }
}
