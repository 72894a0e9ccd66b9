import { describe, expect, it } from 'vitest'
import { Random } from '../../../src/runtime/random.js'
import { BeamDecoder } from '../../../src/tasks/language/beam.js'
import { NgramModel } from '../../../src/tasks/language/ngram.js'
import { Vocabulary } from '../../../src/tasks/language/vocabulary.js'

const vocabulary = new Vocabulary(['', ' ', 'a', 'b', 'c'])
const V = vocabulary.entries.length
const tokens = (text: string) => vocabulary.encode(text, 'test')
const learnt = (order: number, ...texts: string[]) => new NgramModel(texts.map(tokens), order, V)

const contextOf = (model: NgramModel, text: string) =>
  tokens(text).reduce((context, token) => model.after(context, token), model.start)

describe('a language', () => {
  it('gives probabilities that sum to 1 after any context, known or not', () => {
    const model = learnt(3, 'abc abc', 'cab', 'a')
    for (const text of ['', 'a', 'ab', 'bb', 'ccc', 'abc ab']) {
      const context = contextOf(model, text)
      const sum = [1, 2, 3, 4].reduce((total, token) => total + Math.exp(model.logP(context, token)), 0)
      expect(sum).toBeCloseTo(1, 12)
    }
  })

  it('counts as Witten and Bell do', () => {
    // After `a`: b twice, c once, so (2 + 2 P(b)) / (3 + 2). Without context: a 3, b 2, c 1 of 6, three kinds, and 1 /
    // 4 below it.
    const model = learnt(2, 'ab', 'ab', 'ac')
    const b = (2 + 3 / 4) / (6 + 3)
    expect(model.logP(contextOf(model, 'a'), 3)).toBeCloseTo(Math.log((2 + 2 * b) / (3 + 2)), 12)
    // What begins a text: always a.
    const a = (3 + 3 / 4) / (6 + 3)
    expect(model.logP(model.start, 2)).toBeCloseTo(Math.log((3 + a) / (3 + 1)), 12)
  })

  it('remembers as many tokens as its order says', () => {
    const model = learnt(3, 'abcabc')
    expect(contextOf(model, 'abcab')).toBe(contextOf(model, 'cab'))
    expect(contextOf(model, 'abcab')).not.toBe(contextOf(model, 'bb'))
    expect(contextOf(learnt(1, 'ab'), 'ab').length).toBe(0)
  })
})

describe('a beam with a language', () => {
  it('finds the text that is best by the acoustic score and the language model together', () => {
    const random = new Random(3)
    const model = learnt(3, 'abc', 'ab cab', 'cc a')
    const language = { model, weight: 0.7, bonus: 0.4 }
    for (let round = 0; round < 20; round++) {
      const T = 1 + random.int(5)
      const logits = Float64Array.from({ length: T * V }, () => 1.5 * random.normal())
      const decoder = new BeamDecoder(V, { width: 1e6, least: 0, language })
      const found = [...decoder.push(logits), ...decoder.end()].map(({ token }) => token)
      expect(found.join()).toBe(bestOf(logits, T, language))
    }
  })

  it('keeps the texts that a beam keeps which looks at all of them', () => {
    const random = new Random(4)
    const model = learnt(3, 'abc', 'ab cab', 'cc a')
    const unequal = new Set<string>()
    for (let round = 0; round < 40; round++) {
      const T = 10 + random.int(15)
      const width = 1 + random.int(6)
      const language = round % 3 === 0 ? undefined : { model, weight: 0.7, bonus: 0.4 }
      const logits = Float64Array.from({ length: T * V }, () => 1.5 * random.normal())
      const decoder = new BeamDecoder(V, { width, least: 0, settle: T, language })
      const found = [...decoder.push(logits), ...decoder.end()].map(({ token }) => token)
      expect(found.join()).toBe(plainBeam(logits, T, width, language))
      if (found.join() !== plainBeam(logits, T, 30, language)) unequal.add(found.join())
    }
    // The width matters in these cases.
    expect(unequal.size).toBeGreaterThan(10)
  })
})

const logAdd = (a: number, b: number) => {
  const top = Math.max(a, b)
  return top === -Infinity ? top : top + Math.log(Math.exp(a - top) + Math.exp(b - top))
}

/** The search as Hannun et al. write it down: texts by their tokens, each with every token in every row. */
function plainBeam(
  logits: Float64Array,
  T: number,
  width: number,
  language?: { model: NgramModel; weight: number; bonus: number },
): string {
  const said = (text: number[]) => {
    if (!language) return 0
    const { model, weight, bonus } = language
    let context = model.start
    return text.reduce((sum, token) => {
      const logP = model.logP(context, token)
      context = model.after(context, token)
      return sum + weight * logP + bonus
    }, 0)
  }
  let beams = [{ text: [] as number[], gap: 0, on: -Infinity }]
  for (let t = 0; t < T; t++) {
    const row = [...logits.subarray(t * V, (t + 1) * V)]
    const all = row.reduce(logAdd)
    const grown = new Map<string, (typeof beams)[number]>()
    const at = (text: number[]) => {
      const key = text.join()
      if (!grown.has(key)) grown.set(key, { text, gap: -Infinity, on: -Infinity })
      return grown.get(key)!
    }
    for (const { text, gap, on } of beams) {
      const stay = at(text)
      stay.gap = logAdd(stay.gap, logAdd(gap, on) + row[0] - all)
      for (let token = 1; token < V; token++) {
        const same = token === text.at(-1)
        if (same) stay.on = logAdd(stay.on, on + row[token] - all)
        const longer = at([...text, token])
        longer.on = logAdd(longer.on, (same ? gap : logAdd(gap, on)) + row[token] - all)
      }
    }
    const ranked = [...grown.values()].map((beam) => ({ ...beam, score: logAdd(beam.gap, beam.on) + said(beam.text) }))
    beams = ranked.sort((a, b) => b.score - a.score).slice(0, width)
  }
  return beams[0].text.join()
}

/** By all V^T alignments. */
function bestOf(
  logits: Float64Array,
  T: number,
  { model, weight, bonus }: { model: NgramModel; weight: number; bonus: number },
) {
  const sums = Array.from({ length: T }, (_, t) =>
    Math.log(logits.subarray(t * V, (t + 1) * V).reduce((sum, x) => sum + Math.exp(x), 0)),
  )
  const acoustic = new Map<string, number>()
  for (let path = 0; path < V ** T; path++) {
    const text: number[] = []
    let logP = 0
    for (let t = 0, rest = path, before = 0; t < T; t++, rest = Math.floor(rest / V)) {
      const token = rest % V
      logP += logits[t * V + token] - sums[t]
      if (token !== 0 && token !== before) text.push(token)
      before = token
    }
    acoustic.set(text.join(), (acoustic.get(text.join()) ?? 0) + Math.exp(logP))
  }
  const score = ([text, p]: [string, number]) => {
    let [context, said] = [model.start, 0]
    for (const token of text === '' ? [] : text.split(',').map(Number)) {
      said += weight * model.logP(context, token) + bonus
      context = model.after(context, token)
    }
    return Math.log(p) + said
  }
  return [...acoustic].sort((a, b) => score(b) - score(a))[0][0]
}
