import type { FloatArray } from '../../backends/backend.js'
import { logSoftmax } from '../softmax.js'

/** The class that means "nothing here"; the tokens of a text are the others. */
export const blank = 0

/** A token of the text and where it was recognised: the row of its peak, counted from the start of the sequence. */
export interface DecodedToken {
  token: number
  row: number
  /** Probability of the token in that row. */
  probability: number
}

/**
 * From the logits [T, V] of one sequence, chunk by chunk, to its tokens. A decoder is the state between chunks: what
 * comes out is the same however the rows are cut. `push` gives the tokens that no later row can change, `end` the rest;
 * after that comes another sequence.
 */
export interface CtcDecoder {
  push(logits: FloatArray): DecodedToken[]
  end(): DecodedToken[]
}

/**
 * The likeliest class of each row, runs of one class as one, blanks dropped: the text of the likeliest single
 * alignment.
 */
export class GreedyDecoder implements CtcDecoder {
  private run: DecodedToken | null = null
  private row = 0
  /** [V] of one row. */
  private readonly logP: Float64Array

  constructor(private readonly V: number) {
    this.logP = new Float64Array(V)
  }

  push(logits: FloatArray): DecodedToken[] {
    const { V, logP } = this
    const done: DecodedToken[] = []
    for (let from = 0; from < logits.length; from += V, this.row++) {
      logSoftmax(logits, from, logP)
      let token = 0
      for (let v = 1; v < V; v++) if (logP[v] > logP[token]) token = v
      const probability = Math.exp(logP[token])
      if (token === this.run?.token) {
        if (probability > this.run.probability) this.run = { token, row: this.row, probability }
        continue
      }
      if (this.run) done.push(this.run)
      this.run = token === blank ? null : { token, row: this.row, probability }
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
