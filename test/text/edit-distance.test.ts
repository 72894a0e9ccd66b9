import { describe, expect, it } from 'vitest'
import { Random } from '../../src/runtime/random.js'
import { normaliseTranscript } from '../../src/tasks/language/vocabulary.js'
import { characterEdits, editCounts, errorRate, totalEdits, wordEdits } from '../../src/text/edit-distance.js'

const counts = (length: number, substitutions: number, deletions: number, insertions: number) => ({
  length,
  substitutions,
  deletions,
  insertions,
})

describe('edit counts', () => {
  it('are those counted by hand', () => {
    expect(wordEdits('the cat sat', 'the cat sat')).toEqual(counts(3, 0, 0, 0))
    expect(wordEdits('the cat sat', 'the hat sat')).toEqual(counts(3, 1, 0, 0))
    expect(wordEdits('the cat sat', 'the sat')).toEqual(counts(3, 0, 1, 0))
    expect(wordEdits('the cat sat', 'the big cat sat')).toEqual(counts(3, 0, 0, 1))
    expect(wordEdits('one two three four', 'two tree four five')).toEqual(counts(4, 1, 1, 1))
    expect(wordEdits('', 'a b')).toEqual(counts(0, 0, 0, 2))
    expect(wordEdits(' a  b ', '')).toEqual(counts(2, 0, 2, 0))
    expect(characterEdits('kitten', 'sitting')).toEqual(counts(6, 2, 0, 1))
    expect(characterEdits('a b', 'ab')).toEqual(counts(3, 0, 1, 0))
    expect(characterEdits('na\u{1F600}ve', 'nave')).toEqual(counts(5, 0, 1, 0))
  })

  it('leave most right among equals', () => {
    // Two substitutions, or one word dropped and one added around `b`, which stays.
    expect(wordEdits('a b', 'b c')).toEqual(counts(2, 0, 1, 1))
  })

  it('are added up over texts before they are divided', () => {
    const total = totalEdits([wordEdits('one two', 'one'), wordEdits('three', 'three four five')])
    expect(total).toEqual(counts(3, 0, 1, 2))
    expect(errorRate(total)).toBe(1)
    expect(errorRate(wordEdits('a', 'b c d'))).toBe(3)
    expect(errorRate(wordEdits('', ''))).toBe(0)
    expect(errorRate(wordEdits('', 'a'))).toBe(Infinity)
  })

  it('agree with a search through all alignments', () => {
    const random = new Random(31)
    const draw = () => Array.from({ length: random.int(6) }, () => 'abc'[random.int(3)])
    for (let i = 0; i < 200; i++) {
      const [a, b] = [draw(), draw()]
      const all: [number, number, number][] = []
      const walk = (x: number, y: number, s: number, d: number, n: number) => {
        if (x === a.length && y === b.length) all.push([s, d, n])
        if (x < a.length && y < b.length) walk(x + 1, y + 1, s + (a[x] === b[y] ? 0 : 1), d, n)
        if (x < a.length) walk(x + 1, y, s, d + 1, n)
        if (y < b.length) walk(x, y + 1, s, d, n + 1)
      }
      walk(0, 0, 0, 0, 0)
      all.sort((p, q) => p[0] + p[1] + p[2] - (q[0] + q[1] + q[2]) || p[0] - q[0])
      expect(editCounts(a, b)).toEqual(counts(a.length, ...all[0]))
    }
  })
})

describe('a normalised transcript', () => {
  it('is lower case words with their apostrophes', () => {
    for (const [text, normal] of [
      ['Don’t -- STOP!', "don't stop"],
      ["It's five o'clock, Mary's here.", "it's five o'clock mary's here"],
      ["'Quoted' well-known words", 'quoted well known words'],
      ['  TWO\tsix\n', 'two six'],
      ['e\u0301t\u00e9 Straße 42', 'été straße 42'],
      ['...', ''],
    ])
      expect(normaliseTranscript(text)).toBe(normal)
  })
})
