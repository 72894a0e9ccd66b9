import type { FloatArray } from '../../backends/backend.js'
import { logSoftmax } from '../../runtime/softmax.js'
import { cut, type Ending, empty, firstAfter, join, logAdd, never, Spelled } from './alignment.js'
import { blank, type CtcDecoder, type DecodedToken } from './ctc-decode.js'
import { type LanguageModelOptions, type Prefix, PrefixTrie } from './prefix-trie.js'

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
   * Rows after which the likeliest text is settled: what spells another one up to there is dropped. Later rows say next
   * to nothing about it any more; but the combinations of a few old doubts would fill the beam for good.
   */
  settle?: number
  language?: LanguageModelOptions
}

/**
 * Prefix beam search (Hannun et al. 2014, arXiv 1408.2873): sums the alignments of each text,
 * keeps the `width` likeliest texts and gives the likeliest. The rows of a token are those of the likeliest alignment
 * that the search kept.
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
  private readonly settle: number
  private row = 0
  /** How many tokens were given, and the last row of the last one. */
  private given = 0
  private givenRow = -1

  constructor(
    private readonly V: number,
    private readonly options: BeamOptions,
  ) {
    this.logP = new Float64Array(V)
    this.least = Math.log(options.least ?? 1e-4)
    this.settle = options.settle ?? 50
    this.texts = new PrefixTrie(options.language)
    this.start()
  }

  get settled(): number {
    return Math.max(0, this.row - this.settle)
  }

  push(logits: FloatArray): DecodedToken[] {
    const done: DecodedToken[] = []
    for (let from = 0; from < logits.length; from += this.V, this.row++) {
      logSoftmax(logits, from, this.logP)
      this.step()
      const settled = this.settleText()
      // Row by row, so that what is given does not depend on the cuts. A text that ends with the root may yet move its
      // last token.
      const { root } = this.texts
      const length = Math.max(settled, root.length - (root.holder ? 1 : 0))
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
    this.givenRow = -1
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

  /** Writes down the last token of the likeliest alignment of a text that is kept. */
  private spell({ prefix: { token, length }, on }: Beam): void {
    if (on.begins) on.spelled = new Spelled(token, this.row, length, on.spelled, on.last)
    on.begins = false
    on.last = this.row
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

  /**
   * Drops what spells another text than the likeliest up to the row that is settled by now: without its tokens, or with
   * one more. Gives the length of that text.
   */
  private settleText(): number {
    const row = this.row - this.settle
    let at = likeliest(this.beams[0]).spelled
    while (at && at.first > row) at = at.before
    const length = Math.max(at?.length ?? 0, this.given)
    const text = beginning(this.beams[0].prefix, length)
    for (const beam of this.beams) {
      const { prefix, gap, on } = beam
      for (const ending of [gap, on]) if (firstAfter(ending.spelled, length) <= row) empty(ending)
      const none = gap.best === -Infinity && on.best === -Infinity
      if (none || beginning(prefix, length) !== text) this.dropped.push(beam)
    }
    if (this.dropped.length > 0) {
      this.beams = this.beams.filter((beam) => !this.dropped.includes(beam))
      this.drop()
    }
    return length
  }

  /**
   * The tokens of the likeliest text that were not given yet, up to `length` of them in all. Its likeliest alignment may
   * have changed since the last ones were given: rows are not given twice.
   */
  private take(length: number): DecodedToken[] {
    const tokens: DecodedToken[] = []
    let { spelled: at, last } = likeliest(this.beams[0])
    for (; at && at.length > this.given; last = at.lastBefore, at = at.before)
      if (at.length <= length) tokens.push({ token: at.token, first: at.first, last })
    tokens.reverse()
    for (const token of tokens) {
      token.first = Math.max(token.first, this.givenRow + 1)
      token.last = Math.max(token.last, token.first)
      this.givenRow = token.last
    }
    this.given = length
    for (const { gap, on } of this.beams) for (const { spelled } of [gap, on]) cut(spelled, length)
    return tokens
  }
}

const likeliest = ({ gap, on }: Beam) => (gap.best > on.best ? gap : on)

/** Its first `length` tokens; all, if there are no more. */
function beginning(prefix: Prefix<Beam>, length: number): Prefix<Beam> {
  let at = prefix
  while (at.length > length && at.before) at = at.before
  return at
}
