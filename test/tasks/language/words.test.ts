import { describe, expect, it } from 'vitest'
import { type SpelledWord, Words } from '../../../src/tasks/language/words.js'

const vocabulary = ['', ' ', 'a', 'b', "'", 'the ']
const token = (text: string, first: number, last = first) => ({ token: vocabulary.indexOf(text), first, last })

describe('words', () => {
  const tokens = [
    token(' ', 0), token('a', 2), token('b', 4, 6), token(' ', 7), token(' ', 8), token("'", 9), token('b', 10),
  ] // biome-ignore format: one list
  const expected: SpelledWord[] = [
    { text: 'ab', first: 2, end: 7 },
    { text: "'b", first: 9, end: 11 },
  ]

  it('last from the first row of their characters to behind the last', () => {
    const words = new Words(vocabulary, 25)
    expect([...words.push(tokens, 11), ...words.end()]).toEqual(expected)
    expect(words.end()).toEqual([])
  })

  it('are the same piece by piece, each given when the space after it is', () => {
    const words = new Words(vocabulary, 25)
    const given = tokens.map((one) => words.push([one], one.last + 1))
    expect(given.map((some) => some.length)).toEqual([0, 0, 0, 1, 0, 0, 0])
    expect([...given.flat(), ...words.end()]).toEqual(expected)
  })

  it('may come several characters to a token', () => {
    const words = new Words(vocabulary, 25)
    expect(words.push([token('the ', 100), token('a', 101)], 102)).toEqual([{ text: 'the', first: 100, end: 101 }])
    expect(words.open).toBe(101)
    expect(words.end()[0].text).toBe('a')
    expect(words.open).toBeUndefined()
  })

  it('end where nothing more is said, whether the next token is known or not', () => {
    const spaced = [token('a', 3), token('b', 27), token('a', 53)]
    const split = [
      { text: 'ab', first: 3, end: 28 },
      { text: 'a', first: 53, end: 54 },
    ]
    const words = new Words(vocabulary, 25)
    expect([...words.push(spaced, 54), ...words.end()]).toEqual(split)
    expect(words.push(spaced.slice(0, 2), 52)).toEqual([])
    expect(words.push([], 53)).toEqual(split.slice(0, 1))
    expect(words.push([], 1000)).toEqual([])
    expect([...words.push(spaced.slice(2), 54), ...words.end()]).toEqual(split.slice(1))
  })
})
