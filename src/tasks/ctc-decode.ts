import type { FloatArray } from '../backends/backend.js'
import type { Context, Language } from './language.js'
import { logSoftmaxRows } from './softmax.js'

/** The class that means "nothing here"; the tokens of a text are the others. */
export const blank = 0

/** A token of the text and where it was heard: the row of its peak, counted from the start of the sequence. */
export interface DecodedToken {
  token: number
  row: number
  /** Probability of the token in that row. */
  probability: number
}

/**
 * From the logits [T, V] of one sequence, chunk by chunk, to its tokens. A decoder is the state between chunks: what comes
 * out is the same however the rows are cut. `push` gives the tokens that no later row can change, `end` the rest.
 */
export interface CtcDecoder {
  push(logits: FloatArray): DecodedToken[]
  end(): DecodedToken[]
}

/** The likeliest class of each row, runs of one class as one, blanks dropped: the text of the likeliest single alignment. */
export class GreedyDecoder implements CtcDecoder {
  private run: DecodedToken | null = null
  private row = 0

  constructor(private readonly V: number) {}

  push(logits: FloatArray): DecodedToken[] {
    const { V } = this
    const logP = logSoftmaxRows(logits, V)
    const done: DecodedToken[] = []
    for (let from = 0; from < logP.length; from += V, this.row++) {
      let token = 0
      for (let v = 1; v < V; v++) if (logP[from + v] > logP[from + token]) token = v
      const probability = Math.exp(logP[from + token])
      if (token === this.run?.token) {
        if (probability > this.run.probability) this.run = { token, row: this.row, probability }
        continue
      }
      done.push(...this.end())
      if (token !== blank) this.run = { token, row: this.row, probability }
    }
    return done
  }

  end(): DecodedToken[] {
    const done = this.run ? [this.run] : []
    this.run = null
    return done
  }
}

/** The tokens of one alignment, newest first. Alignments share what they have in common. */
interface Spelled extends DecodedToken {
  /** Tokens up to this one. */
  length: number
  /** Null at the start and where the rest was given already. */
  before: Spelled | null
}

/** A text, as its last token and the text before it; `next` finds the same text again when it is reached on another way. */
interface Prefix {
  token: number
  length: number
  before: Prefix | null
  /** Texts with one token more; most have none. */
  next: Prefix[]
  /** What the language says of it, in nats, and the context of its next token. */
  language: number
  context: Context | null
}

/** Log probabilities of a text over the rows so far, by how its alignments end, and the likeliest alignment of each kind. */
interface Ending {
  /** Of all alignments. */
  sum: number
  /** Of the likeliest alone. */
  best: number
  spelled: Spelled | null
}

interface Beam {
  prefix: Prefix
  /** Ends in blank. */
  gap: Ending
  /** Ends in the last token of the text. */
  on: Ending
  /** What texts are ranked by. */
  score: number
}

export interface BeamOptions {
  /** How many texts are kept from row to row. */
  width: number
  /** Classes with a probability below this are not tried in a row, which saves most of the time; 0 tries all. */
  least?: number
  /**
   * Rows after which a token of the likeliest text is settled and texts without it are dropped. Later rows say next to nothing about it
   * any more; but the combinations of a few old doubts would fill the beam for good.
   */
  settle?: number
  /** What the texts of the language look like: weight times log P, plus the bonus, is added for each token. */
  language?: { model: Language; weight: number; bonus: number }
}

/**
 * Prefix beam search (Hannun et al. 2014, arXiv 1408.2873): sums the alignments of each text,
 * keeps the `width` likeliest texts and gives the likeliest. The row of a token is that of the likeliest alignment. With a language,
 * texts are ranked by what is heard and by what the language says of them (Maas et al. 2015, lexicon-free).
 *
 * Without a language: with `width` enough for all texts, `least` 0 and no more than `settle` rows, the answer is the likeliest text, at least as likely
 * as the greedy one, and it is the greedy one whenever the likeliest alignment has more than half of all probability. Nothing more
 * holds: a width of 1 is not greedy decoding (it compares sums, not single alignments), and a greater width can miss what a smaller one finds.
 */
export class BeamDecoder implements CtcDecoder {
  /** What all texts have in common. */
  private root: Prefix
  /** Likeliest first. */
  private beams: Beam[]
  private row = 0
  /** How many tokens were given. */
  private given = 0

  constructor(
    private readonly V: number,
    private readonly options: BeamOptions,
  ) {
    const context = options.language?.model.start ?? null
    this.root = { token: blank, length: 0, before: null, next: [], language: 0, context }
    this.beams = [{ prefix: this.root, gap: { sum: 0, best: 0, spelled: null }, on: never(), score: 0 }]
  }

  push(logits: FloatArray): DecodedToken[] {
    const logP = logSoftmaxRows(logits, this.V)
    const done: DecodedToken[] = []
    for (let from = 0; from < logP.length; from += this.V, this.row++) {
      this.step(logP.subarray(from, from + this.V))
      this.settle()
      // Row by row, so that what is given does not depend on the cuts. A text that ends with the root may yet move its last token.
      const open = this.beams.some(({ prefix }) => prefix === this.root)
      done.push(...this.take(this.root.length - (open ? 1 : 0)))
    }
    return done
  }

  end(): DecodedToken[] {
    return this.take(Number.POSITIVE_INFINITY)
  }

  private step(logP: Float64Array): void {
    const { width, least = 1e-4 } = this.options
    const tried: number[] = []
    for (let v = 0; v < this.V; v++) if (v !== blank && logP[v] >= Math.log(least)) tried.push(v)
    const grown = new Map<Prefix, Beam>()
    for (const { prefix, gap, on } of this.beams) {
      const stay = beamOf(grown, prefix)
      for (const ending of [gap, on]) if (joins(stay.gap, ending, logP[blank])) stay.gap.spelled = ending.spelled
      if (prefix.token !== blank && joins(stay.on, on, logP[prefix.token]))
        stay.on.spelled = this.longer(on.spelled, logP)
      for (const token of tried) {
        const beam = beamOf(grown, prefix.next.find((next) => next.token === token) ?? this.added(prefix, token))
        // Straight from the token itself, an equal one would be a longer token, not a second one.
        for (const ending of token === prefix.token ? [gap] : [gap, on])
          if (joins(beam.on, ending, logP[token]))
            beam.on.spelled = this.spelled(token, logP, ending.spelled, beam.prefix.length)
      }
    }
    const ranked = [...grown.values()]
    for (const beam of ranked) beam.score = logAdd(beam.gap.sum, beam.on.sum) + beam.prefix.language
    ranked.sort((a, b) => b.score - a.score)
    this.keep(ranked.slice(0, width), ranked.slice(width))
  }

  private added(before: Prefix, token: number): Prefix {
    const { language } = this.options
    const prefix: Prefix = {
      token,
      length: before.length + 1,
      before,
      next: [],
      language: before.language,
      context: null,
    }
    if (language && before.context) {
      prefix.language += language.weight * language.model.logP(before.context, token) + language.bonus
      prefix.context = language.model.after(before.context, token)
    }
    before.next.push(prefix)
    return prefix
  }

  private spelled(token: number, logP: Float64Array, before: Spelled | null, length: number): Spelled {
    return { token, row: this.row, probability: Math.exp(logP[token]), length, before }
  }

  /** The same token goes on: its row moves here if it peaks here. */
  private longer(last: Spelled | null, logP: Float64Array): Spelled | null {
    if (last === null || Math.exp(logP[last.token]) <= last.probability) return last
    return this.spelled(last.token, logP, last.before, last.length)
  }

  /** Keeps these texts and drops those, with all that no kept text begins with: memory does not grow with the sequence. */
  private keep(beams: Beam[], dropped: Beam[]): void {
    this.beams = beams
    const kept = new Set(beams.map(({ prefix }) => prefix))
    for (let { prefix } of dropped) {
      while (prefix.next.length === 0 && !kept.has(prefix) && prefix.before) {
        const { before } = prefix
        before.next = before.next.filter((next) => next !== prefix)
        prefix = before
      }
    }
    while (this.root.next.length === 1 && !kept.has(this.root)) {
      const [next] = this.root.next
      next.before = null
      this.root = next
    }
  }

  private settle(): void {
    const { settle = 50 } = this.options
    let at = likeliest(this.beams[0])
    while (at && at.row > this.row - settle) at = at.before
    if (at === null || at.length <= this.root.length) return
    const { length } = at
    const begin = (prefix: Prefix) => {
      let at: Prefix | null = prefix
      while (at && at.length > length) at = at.before
      return at
    }
    const text = begin(this.beams[0].prefix)
    const agrees = ({ prefix }: Beam) => begin(prefix) === text
    this.keep(
      this.beams.filter(agrees),
      this.beams.filter((beam) => !agrees(beam)),
    )
  }

  /** The tokens of the likeliest text that were not given yet, up to `length` of them in all. */
  private take(length: number): DecodedToken[] {
    if (length <= this.given) return []
    const tokens: DecodedToken[] = []
    for (let at = likeliest(this.beams[0]); at && at.length > this.given; at = at.before)
      if (at.length <= length) tokens.push({ token: at.token, row: at.row, probability: at.probability })
    this.given = length
    for (const { gap, on } of this.beams) for (const { spelled } of [gap, on]) cut(spelled, length)
    return tokens.reverse()
  }
}

const likeliest = ({ gap, on }: Beam) => (gap.best > on.best ? gap : on).spelled

/** Lets go of the first `length` tokens. */
function cut(spelled: Spelled | null, length: number): void {
  for (let at = spelled; at; at = at.before) if (at.before && at.before.length <= length) at.before = null
}

const never = (): Ending => ({ sum: -Infinity, best: -Infinity, spelled: null })

function beamOf(beams: Map<Prefix, Beam>, prefix: Prefix): Beam {
  let beam = beams.get(prefix)
  if (!beam) {
    beam = { prefix, gap: never(), on: never(), score: 0 }
    beams.set(prefix, beam)
  }
  return beam
}

/** The alignments of `from`, one row longer, join those of `into`; whether the likeliest of all is now one of them. */
function joins(into: Ending, from: Ending, logP: number): boolean {
  into.sum = logAdd(into.sum, from.sum + logP)
  if (from.best + logP <= into.best) return false
  into.best = from.best + logP
  return true
}

/** log(exp(a) + exp(b)) */
function logAdd(a: number, b: number): number {
  const top = Math.max(a, b)
  return top === -Infinity ? top : top + Math.log1p(Math.exp(Math.min(a, b) - top))
}
