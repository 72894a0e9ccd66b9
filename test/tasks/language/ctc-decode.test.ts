import { describe, expect, it } from 'vitest'
import { Random } from '../../../src/runtime/random.js'
import { BeamDecoder } from '../../../src/tasks/language/beam.js'
import { type CtcDecoder, type DecodedToken, GreedyDecoder } from '../../../src/tasks/language/ctc-decode.js'

const log = (rows: number[][]) => Float64Array.from(rows.flat(), Math.log)

/** Rows of probabilities; `sharp` makes them peaky, as trained models are. */
function randomRows(random: Random, T: number, V: number, sharp = 1): number[][] {
  return Array.from({ length: T }, () => {
    const row = Array.from({ length: V }, () => Math.exp(sharp * random.normal()))
    const sum = row.reduce((a, b) => a + b)
    return row.map((x) => x / sum)
  })
}

/** By all V^T alignments: the probability of each text, and the likeliest alignment with its probability. */
function bruteForce(rows: number[][]) {
  const V = rows[0].length
  const texts = new Map<string, number>()
  let best = { probability: 0, text: '' }
  for (let path = 0; path < V ** rows.length; path++) {
    let probability = 1
    const tokens: number[] = []
    for (let t = 0, rest = path, before = 0; t < rows.length; t++, rest = Math.floor(rest / V)) {
      const v = rest % V
      probability *= rows[t][v]
      if (v !== 0 && v !== before) tokens.push(v)
      before = v
    }
    const text = tokens.join()
    texts.set(text, (texts.get(text) ?? 0) + probability)
    if (probability > best.probability) best = { probability, text }
  }
  const [likeliest] = [...texts].sort((a, b) => b[1] - a[1])
  return { texts, best, likeliest: likeliest[0] }
}

/** The likeliest single alignment of a text, over all rows at once (Viterbi); as the decoders, the first of equal ones. */
function forcedAlignment(rows: number[][], text: number[]): DecodedToken[] {
  const states = [0, ...text.flatMap((token) => [token, 0])]
  let scores = states.map((token, s) => (s < 2 ? Math.log(rows[0][token]) : -Infinity))
  const from: number[][] = [states.map((_, s) => s)]
  for (const row of rows.slice(1)) {
    const before = states.map((token, s) => {
      const skips = token !== 0 && s > 1 && token !== states[s - 2]
      return [s, s - 1, ...(skips ? [s - 2] : [])].reduce(
        (best, at) => ((scores[at] ?? -Infinity) > scores[best] ? at : best),
        s,
      )
    })
    from.push(before)
    scores = states.map((token, s) => scores[before[s]] + Math.log(row[token]))
  }
  const tokens: DecodedToken[] = []
  let s = scores.length > 1 && scores.at(-2)! > scores.at(-1)! ? scores.length - 2 : scores.length - 1
  for (let t = rows.length - 1, after = -1; t >= 0; s = from[t][s], t--) {
    if (states[s] !== 0 && s === after) tokens[0].first = t
    else if (states[s] !== 0) tokens.unshift({ token: states[s], first: t, last: t })
    after = s
  }
  return tokens
}

function decode(decoder: CtcDecoder, logits: Float64Array, V: number, cuts: number[] = []): DecodedToken[] {
  const tokens: DecodedToken[] = []
  let from = 0
  for (const cut of [...cuts, logits.length / V]) {
    tokens.push(...decoder.push(logits.subarray(from * V, cut * V)))
    from = cut
  }
  return [...tokens, ...decoder.end()]
}
const text = (tokens: DecodedToken[]) => tokens.map(({ token }) => token).join()
const everything = { width: 1e6, least: 0 }

const cases = (count: number, sharp: number) => {
  const random = new Random(21, sharp)
  return Array.from({ length: count }, () => randomRows(random, 1 + random.int(6), 2 + random.int(3), sharp))
}

describe('greedy decoding', () => {
  it('gives the text of the likeliest alignment', () => {
    for (const rows of cases(60, 1))
      expect(text(decode(new GreedyDecoder(rows[0].length), log(rows), rows[0].length))).toBe(
        bruteForce(rows).best.text,
      )
  })

  it('gives each token its first and its last row', () => {
    const rows = [
      [0.9, 0.1, 0],
      [0.4, 0.6, 0],
      [0.1, 0.9, 0],
      [0.3, 0.7, 0],
      [1, 0, 0],
      [0, 1, 0],
      [0.2, 0, 0.8],
    ]
    expect(decode(new GreedyDecoder(3), log(rows), 3)).toEqual([
      { token: 1, first: 1, last: 3 },
      { token: 1, first: 5, last: 5 },
      { token: 2, first: 6, last: 6 },
    ])
  })
})

describe('prefix beam search', () => {
  it('finds the likeliest text where every text is kept', () => {
    for (const rows of [...cases(60, 1), ...cases(40, 3)]) {
      const V = rows[0].length
      const { texts, likeliest, best } = bruteForce(rows)
      const found = text(decode(new BeamDecoder(V, everything), log(rows), V))
      expect(texts.get(found)).toBeCloseTo(texts.get(likeliest)!, 12)
      expect(texts.get(found)! + 1e-12).toBeGreaterThanOrEqual(texts.get(best.text)!)
    }
  })

  it('is greedy decoding where one alignment has more than half of all probability', () => {
    let seen = 0
    for (const rows of cases(80, 4)) {
      const V = rows[0].length
      const { best } = bruteForce(rows)
      if (best.probability <= 0.5) continue
      seen++
      expect(text(decode(new BeamDecoder(V, everything), log(rows), V))).toBe(best.text)
    }
    expect(seen).toBeGreaterThan(10)
  })

  it('differs from greedy decoding where many alignments spell another text, at width 1 too', () => {
    // Greedy: blank, blank. But `1` has three alignments.
    const apart = [
      [0.6, 0.4],
      [0.6, 0.4],
    ]
    expect(text(decode(new GreedyDecoder(2), log(apart), 2))).toBe('')
    expect(text(decode(new BeamDecoder(2, everything), log(apart), 2))).toBe('1')
    // Greedy: 1, 2. Width 1 stays with `1`, whose two ways to go on have more together.
    const stays = [
      [0.4, 0.6, 0],
      [0.3, 0.3, 0.4],
    ]
    expect(text(decode(new GreedyDecoder(3), log(stays), 3))).toBe('1,2')
    expect(text(decode(new BeamDecoder(3, { width: 1, least: 0 }), log(stays), 3))).toBe('1')
  })

  it('tells a long token from two equal ones, with their rows', () => {
    const long = [
      [0.05, 0.95],
      [0.02, 0.98],
      [0.05, 0.95],
    ]
    const twice = [
      [0.05, 0.95],
      [0.98, 0.02],
      [0.05, 0.95],
    ]
    const rows = (p: number[][]) =>
      decode(new BeamDecoder(2, { width: 8 }), log(p), 2).map(({ first, last }) => [first, last])
    expect(rows(long)).toEqual([[0, 2]])
    expect(rows(twice)).toEqual([
      [0, 0],
      [2, 2],
    ])
  })

  it('gives tokens rows of their own, those of the forced alignment but for a few', () => {
    const random = new Random(26)
    let [all, same] = [0, 0]
    for (let i = 0; i < 60; i++) {
      const [T, V] = [60, 5]
      const rows = randomRows(random, T, V, 2)
      const tokens = decode(new BeamDecoder(V, { width: 16, settle: 25 }), log(rows), V)
      for (const [t, { first, last }] of tokens.entries()) {
        expect(first).toBeGreaterThan(t > 0 ? tokens[t - 1].last : -1)
        expect(last).toBeGreaterThanOrEqual(first)
      }
      const text = tokens.map(({ token }) => token)
      for (const [t, { first, last }] of forcedAlignment(rows, text).entries())
        if (tokens[t].first === first && tokens[t].last === last) same++
      all += text.length
    }
    expect(same / all).toBeGreaterThan(0.97)
  })

  it('times tokens as greedy decoding does where rows are peaky', () => {
    const random = new Random(22)
    for (let i = 0; i < 20; i++) {
      const logits = Float64Array.from({ length: 40 * 5 }, () => random.uniform())
      for (let t = 0; t < 40; t++) logits[t * 5 + (random.uniform() < 0.5 ? 0 : random.int(5))] += 12
      expect(decode(new BeamDecoder(5, { width: 8 }), logits, 5)).toEqual(decode(new GreedyDecoder(5), logits, 5))
    }
  })

  it('holds no more of a long sequence than the part that is still open', () => {
    const random = new Random(23)
    const [V, T] = [6, 2000]
    const decoder = new BeamDecoder(V, { width: 8 })
    const decided: number[] = []
    let spoken = 0
    for (let t = 0; t < T; t++) {
      const logits = Float64Array.from({ length: V }, () => random.normal())
      logits[t % 2 === 0 ? 0 : 1 + random.int(V - 1)] += 8
      if (t % 2 === 1) spoken++
      decided.push(decoder.push(logits).length)
    }
    const given = decided.reduce((a, b) => a + b)
    expect(spoken - given).toBeLessThan(30)
    expect(given + decoder.end().length).toBeGreaterThan(spoken * 0.95)
    expect(retained(decoder)).toBeLessThan(1000)
  })
})

/** Objects that can be reached from here. */
function retained(root: object): number {
  const seen = new Set<object>()
  const open: unknown[] = [root]
  while (open.length > 0) {
    const at = open.pop()
    if (typeof at !== 'object' || at === null || seen.has(at) || ArrayBuffer.isView(at)) continue
    seen.add(at)
    open.push(...(at instanceof Map ? at.values() : Object.values(at)))
  }
  return seen.size
}

describe('both decoders', () => {
  it('give the same tokens however the rows are cut', () => {
    const random = new Random(24)
    const V = 5
    for (const sharp of [1, 3]) {
      const logits = log(randomRows(random, 120, V, sharp))
      for (const open of [() => new GreedyDecoder(V), () => new BeamDecoder(V, { width: 6 })]) {
        const whole = decode(open(), logits, V)
        expect(whole.length).toBeGreaterThan(10)
        const some = Array.from({ length: 9 }, () => random.int(120)).sort((a, b) => a - b)
        const each = Array.from({ length: 120 }, (_, i) => i)
        for (const cuts of [some, each, [0, 0, 120]]) expect(decode(open(), logits, V, cuts)).toEqual(whole)
      }
    }
  })

  it('go on with another sequence after the end of one', () => {
    const random = new Random(25)
    const V = 5
    const sequences = [30, 1, 0, 120, 60].map((T) => (T === 0 ? new Float64Array(0) : log(randomRows(random, T, V, 2))))
    for (const open of [() => new GreedyDecoder(V), () => new BeamDecoder(V, { width: 6, settle: 20 })]) {
      const decoder = open()
      for (const logits of sequences) expect(decode(decoder, logits, V)).toEqual(decode(open(), logits, V))
    }
  })

  it('say which rows are settled: no token that is still to come begins before them', () => {
    const random = new Random(27)
    const V = 5
    for (const sharp of [1, 3]) {
      const logits = log(randomRows(random, 300, V, sharp))
      for (const decoder of [new GreedyDecoder(V), new BeamDecoder(V, { width: 6, settle: 20 })]) {
        let settled = 0
        for (let t = 0; t < 300; t++) {
          for (const { first } of decoder.push(logits.subarray(t * V, (t + 1) * V)))
            expect(first).toBeGreaterThanOrEqual(settled)
          expect(decoder.settled).toBeGreaterThanOrEqual(settled)
          settled = decoder.settled
        }
        expect(settled).toBeGreaterThanOrEqual(280)
        for (const { first } of decoder.end()) expect(first).toBeGreaterThanOrEqual(settled)
      }
    }
  })

  it('give the last token of a text while nothing more is said', () => {
    const said = [[0.02, 0.97, 0.01], ...Array.from({ length: 30 }, () => [0.98, 0.01, 0.01])]
    for (const decoder of [new GreedyDecoder(3), new BeamDecoder(3, { width: 6, settle: 20 })])
      expect(decoder.push(log(said))).toEqual([{ token: 1, first: 0, last: 0 }])
  })

  it('give nothing for nothing', () => {
    for (const decoder of [new GreedyDecoder(3), new BeamDecoder(3, { width: 4 })])
      expect([...decoder.push(new Float32Array(0)), ...decoder.end()]).toEqual([])
  })
})
