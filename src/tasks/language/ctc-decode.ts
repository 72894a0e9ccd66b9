import type { FloatArray } from '../../backends/backend.js'

/** The class that means "nothing here"; the tokens of a text are the others. */
export const blank = 0

/**
 * A token of the text and the rows that the likeliest alignment gives it, counted from the start of the sequence; the
 * rows between two tokens are blank.
 */
export interface DecodedToken {
  token: number
  first: number
  last: number
}

/**
 * From the logits [T, V] of one sequence, chunk by chunk, to its tokens. A decoder is the state between chunks: what
 * comes out is the same however the rows are cut. `push` gives the tokens that no later row can change, `end` the rest;
 * after that comes another sequence.
 */
export interface CtcDecoder {
  push(logits: FloatArray): DecodedToken[]
  end(): DecodedToken[]
  /** No token that is still to be given begins before this row. */
  readonly settled: number
}

/**
 * The likeliest class of each row, runs of one class as one, blanks dropped: the text of the likeliest single
 * alignment.
 */
export class GreedyDecoder implements CtcDecoder {
  private run: DecodedToken | null = null
  private row = 0

  constructor(private readonly V: number) {}

  get settled(): number {
    return this.run?.first ?? this.row
  }

  push(logits: FloatArray): DecodedToken[] {
    const { V } = this
    const done: DecodedToken[] = []
    for (let from = 0; from < logits.length; from += V, this.row++) {
      let token = 0
      for (let v = 1; v < V; v++) if (logits[from + v] > logits[from + token]) token = v
      if (token === this.run?.token) {
        this.run.last = this.row
        continue
      }
      if (this.run) done.push(this.run)
      this.run = token === blank ? null : { token, first: this.row, last: this.row }
    }
    return done
  }

  end(): DecodedToken[] {
    const done = this.run ? [this.run] : []
    this.run = null
    this.row = 0
    return done
  }
}
