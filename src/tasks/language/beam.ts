import type { FloatArray } from '../../backends/backend.js'
import { logSoftmax } from '../softmax.js'
import { blank, type CtcDecoder, type DecodedToken } from './ctc-decode.js'
import { type LanguageModelOptions, type Prefix, PrefixTrie } from './prefix-trie.js'

/**
 * The tokens of one alignment, newest first. Alignments share what they have in common. (Made by `new`: V8 puts
 * literals of a place where they once lived long among the old objects from then on, and lets tens of megabytes of them
 * pile up.)
 */
class Spelled implements DecodedToken {
  /** `length`: tokens up to this one. `before`: null at the start and where the rest was given already. */
  constructor(
    readonly token: number,
    readonly row: number,
    readonly probability: number,
    readonly length: number,
    public before: Spelled | null,
  ) {}
}

/**
 * Log probabilities of a text over the rows so far, by how its alignments end, and the likeliest alignment of each
 * kind.
 */
interface Ending {
  /** Of all alignments. */
  sum: number
  /** Of the likeliest alone. */
  best: number
  spelled: Spelled | null
  /** The likeliest one has its last token in this row first; `spelled` does not have it yet. */
  begins: boolean
}

/** A text as it is tried. Those of a row are the next but one's again: the search makes next to no garbage. */
interface Beam {
  prefix: Prefix<Beam>
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
   * Rows after which a token of the likeliest text is settled and texts without it are dropped. Later rows say next to
   * nothing about it any more; but the combinations of a few old doubts would fill the beam for good.
   */
  settle?: number
  language?: LanguageModelOptions
}

/**
 * Prefix beam search (Hannun et al. 2014, arXiv 1408.2873): sums the alignments of each text,
 * keeps the `width` likeliest texts and gives the likeliest. The row of a token is that of the likeliest alignment.
 * With a language, texts are ranked by the acoustic score and by the language model together (Maas et al. 2015,
 * lexicon-free).
 *
 * Without a language: with `width` enough for all texts, `least` 0 and no more than `settle` rows, the answer is the
 * likeliest text, at least as likely as the greedy one, and it is the greedy one whenever the likeliest alignment has
 * more than half of all probability. Nothing more holds: a width of 1 is not greedy decoding (it compares sums, not
 * single alignments), and a greater width can miss what a smaller one finds.
 */
export class BeamDecoder implements CtcDecoder {
  private readonly texts: PrefixTrie<Beam>
  // Lists that are used again in each row.
  /** Likeliest first. */
  private beams: Beam[] = []
  /** The likeliest so far in the next row, and what had to make room for them. */
  private ranked: Beam[] = []
  private readonly dropped: Beam[] = []
  /** Classes that are tried in a row, and texts that were known before it. */
  private readonly tried: number[] = []
  private readonly known: Beam[] = []
  private readonly unused: Beam[] = []
  /** [V] of one row. */
  private readonly logP: Float64Array
  private readonly least: number
  private row = 0
  /** How many tokens were given. */
  private given = 0

  constructor(
    private readonly V: number,
    private readonly options: BeamOptions,
  ) {
    this.logP = new Float64Array(V)
    this.least = Math.log(options.least ?? 1e-4)
    this.texts = new PrefixTrie(options.language)
    this.start()
  }

  push(logits: FloatArray): DecodedToken[] {
    const done: DecodedToken[] = []
    for (let from = 0; from < logits.length; from += this.V, this.row++) {
      logSoftmax(logits, from, this.logP)
      this.step()
      this.settle()
      // Row by row, so that what is given does not depend on the cuts. A text that ends with the root may yet move its
      // last token.
      const { root } = this.texts
      const length = root.length - (root.holder ? 1 : 0)
      if (length > this.given) for (const token of this.take(length)) done.push(token)
    }
    return done
  }

  end(): DecodedToken[] {
    const done = this.take(Number.POSITIVE_INFINITY)
    this.dropped.push(...this.beams.splice(0))
    this.drop()
    this.texts.restart()
    this.row = 0
    this.given = 0
    this.start()
    return done
  }

  /** The one text of a sequence that has not begun. */
  private start(): void {
    const { gap } = this.beams[this.beams.push(this.beam(this.texts.root)) - 1]
    gap.sum = 0
    gap.best = 0
  }

  /** One row: the likeliest of all texts as they are and with one token more. */
  private step(): void {
    const { beams, ranked, tried, known, logP, least } = this
    for (let v = 0; v < this.V; v++) if (v !== blank && logP[v] >= least) tried.push(v)
    for (const { prefix } of beams) prefix.holder = null
    for (const { prefix, gap, on } of beams) {
      const stay = this.held(prefix)
      join(stay.gap, gap, logP[blank], false)
      join(stay.gap, on, logP[blank], false)
      if (prefix.token !== blank) join(stay.on, on, logP[prefix.token], false)
      for (const next of prefix.next) if (logP[next.token] >= least) this.goOn(this.held(next), prefix, gap, on)
    }
    for (const beam of known) this.rank(beam)
    for (const beam of beams) this.begin(beam)
    for (const beam of beams) this.letGo(beam)
    tried.length = 0
    known.length = 0
    beams.length = 0
    this.beams = ranked
    this.ranked = beams
    this.drop()
    for (const beam of ranked) this.spell(beam)
  }

  /**
   * Texts with one token more that are not known yet: only this one leads to them, and most are too unlikely to be
   * looked at.
   */
  private begin({ prefix, gap, on }: Beam): void {
    const { texts, ranked, logP } = this
    const most = logAdd(gap.sum, on.sum) + texts.mostLonger(prefix)
    for (const token of this.tried) {
      const full = ranked.length === this.options.width
      if ((full && most + logP[token] <= ranked[ranked.length - 1].score) || texts.knows(prefix, token)) continue
      const beam = this.beam(texts.longer(prefix, token))
      this.goOn(beam, prefix, gap, on)
      this.rank(beam)
    }
  }

  /** Alignments of the text before go on with the last token of this one. */
  private goOn({ prefix: { token }, on: into }: Beam, before: Prefix<Beam>, gap: Ending, on: Ending): void {
    join(into, gap, this.logP[token], true)
    // Straight from the token itself, an equal one would be a longer token, not a second one.
    if (token !== before.token) join(into, on, this.logP[token], true)
  }

  private rank(beam: Beam): void {
    const { ranked } = this
    beam.score = logAdd(beam.gap.sum, beam.on.sum) + beam.prefix.language
    let at = ranked.push(beam) - 1
    for (; at > 0 && ranked[at - 1].score < beam.score; at--) ranked[at] = ranked[at - 1]
    ranked[at] = beam
    if (ranked.length > this.options.width) this.dropped.push(ranked.pop()!)
  }

  /** Where this row leads to a text. */
  private held(prefix: Prefix<Beam>): Beam {
    if (prefix.holder) return prefix.holder
    const beam = this.beam(prefix)
    this.known.push(beam)
    return beam
  }

  private beam(prefix: Prefix<Beam>): Beam {
    const beam = this.unused.pop() ?? { prefix, gap: never(), on: never(), score: 0 }
    beam.prefix = prefix
    prefix.holder = beam
    return beam
  }

  private letGo(beam: Beam): void {
    empty(beam.gap)
    empty(beam.on)
    this.unused.push(beam)
  }

  /** Writes down the last token of the likeliest alignment of a text that is kept, and where it peaks. */
  private spell({ prefix, on }: Beam): void {
    const { token, length } = prefix
    const probability = Math.exp(this.logP[token])
    const { spelled } = on
    if (on.begins) on.spelled = new Spelled(token, this.row, probability, length, spelled)
    else if (spelled && probability > spelled.probability)
      on.spelled = new Spelled(token, this.row, probability, length, spelled.before)
    on.begins = false
  }

  private drop(): void {
    for (const beam of this.dropped) {
      beam.prefix.holder = null
      this.texts.prune(beam.prefix)
      this.letGo(beam)
    }
    this.dropped.length = 0
    this.texts.moveRoot()
  }

  private settle(): void {
    const { settle = 50 } = this.options
    let at = likeliest(this.beams[0])
    while (at && at.row > this.row - settle) at = at.before
    if (at === null || at.length <= this.texts.root.length) return
    const { length } = at
    const begin = (prefix: Prefix<Beam>) => {
      let at: Prefix<Beam> | null = prefix
      while (at && at.length > length) at = at.before
      return at
    }
    const text = begin(this.beams[0].prefix)
    const agrees = ({ prefix }: Beam) => begin(prefix) === text
    this.dropped.push(...this.beams.filter((beam) => !agrees(beam)))
    this.beams = this.beams.filter(agrees)
    this.drop()
  }

  /** The tokens of the likeliest text that were not given yet, up to `length` of them in all. */
  private take(length: number): DecodedToken[] {
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

const never = (): Ending => ({ sum: -Infinity, best: -Infinity, spelled: null, begins: false })

function empty(ending: Ending): void {
  ending.sum = -Infinity
  ending.best = -Infinity
  ending.spelled = null
  ending.begins = false
}

/**
 * The alignments of `from`, one row longer, join those of `into`; with `begins`, by a token that is not in them yet.
 */
function join(into: Ending, from: Ending, logP: number, begins: boolean): void {
  into.sum = logAdd(into.sum, from.sum + logP)
  const best = from.best + logP
  if (best <= into.best) return
  into.best = best
  into.spelled = from.spelled
  into.begins = begins
}

/** log(exp(a) + exp(b)) */
function logAdd(a: number, b: number): number {
  const top = Math.max(a, b)
  return top === -Infinity ? top : top + Math.log1p(Math.exp(Math.min(a, b) - top))
}
