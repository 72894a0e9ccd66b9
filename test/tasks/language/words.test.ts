import { describe, expect, it } from 'vitest'
import { Words } from '../../../src/tasks/language/words.js'

const vocabulary = ['', ' ', 'a', 'b', "'", 'the ']
const token = (text: string, row: number) => ({ token: vocabulary.indexOf(text), row, probability: 1 })

describe('words', () => {
  const tokens = [
    token(' ', 0), token('a', 2), token('b', 4), token(' ', 5), token(' ', 7), token("'", 9), token('b', 10),
  ] // biome-ignore format: one list
  const expected = [
    { text: 'ab', start: 1, end: 2.5 },
    { text: "'b", start: 4.5, end: 5.5 },
  ]

  it('last from the first row of their characters to the end of the last', () => {
    const words = new Words(vocabulary, 0.5)
    expect([...words.push(tokens), ...words.end()]).toEqual(expected)
    expect(words.end()).toEqual([])
  })

  it('are the same piece by piece, each given when the space after it is', () => {
    const words = new Words(vocabulary, 0.5)
    const given = tokens.map((one) => words.push([one]))
    expect(given.map((some) => some.length)).toEqual([0, 0, 0, 1, 0, 0, 0])
    expect([...given.flat(), ...words.end()]).toEqual(expected)
  })

  it('are moved by an offset, and may come several characters to a token', () => {
    const words = new Words(vocabulary, 0.04, 60)
    expect(words.push([token('the ', 100), token('a', 101)])).toEqual([{ text: 'the', start: 64, end: 64.04 }])
    expect(words.end()[0].text).toBe('a')
  })
})
