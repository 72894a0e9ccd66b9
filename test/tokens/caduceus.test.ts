import { expect, test } from 'vitest'
import type { TokensInput } from '../../src/spec.js'
import { encodeCaduceus } from '../../src/tokens/caduceus.js'
import { appendedTokens, dnaTokenizer } from '../../src/tokens/tokenizer.js'
import { tinySpec } from '../engine/models.js'

const tokens = (tokenizer: TokensInput['tokenizer']) => ({ kind: 'tokens', tokenizer, vocab_size: 16 }) as const

/** The official cases are in test/golden/caduceus-tokenizer (golden.test.ts). */

test('base codes, piece by piece, give the ids of their letters', () => {
  const { ids } = dnaTokenizer(tokens('caduceus'))
  const pieces = [ids(Uint8Array.of(0, 1, 2), false), ids(Uint8Array.of(), false), ids(Uint8Array.of(3, 4), true)]
  expect(pieces.flatMap((piece) => [...piece])).toEqual([...encodeCaduceus('ACGTN')])
  expect([...ids(Uint8Array.of(), true)]).toEqual([...encodeCaduceus('')])
})

test('[RESERVED] inside text, and special tokens in lower case, are characters one by one', () => {
  expect([...encodeCaduceus('[RESERVED]', false)]).toEqual(Array(10).fill(6))
  expect([...encodeCaduceus('[cls]', false)]).toEqual([6, 8, 6, 6, 6])
  expect([...encodeCaduceus('A\u{1F9EC}ß', false)]).toEqual([7, 6, 6, 6])
})

test('our own models take codes as ids and append nothing; models of ids read no DNA', () => {
  const spec = tinySpec('mamba')
  expect([...dnaTokenizer(tokens('dna')).ids(Uint8Array.of(4, 0, 3), true)]).toEqual([4, 0, 3])
  expect(appendedTokens(spec, false)).toBe(0)
  expect(appendedTokens({ ...spec, input: tokens('caduceus') }, false)).toBe(1)
  expect(() => dnaTokenizer(tokens('ids'))).toThrow('this model reads text, not DNA')
})

test('PlantCaduceus reads bases and nothing behind them; N is unknown to it', () => {
  const { ids, letter, counts, mask, appended } = dnaTokenizer(tokens('plantcaduceus'))
  expect([...ids(Uint8Array.of(0, 1, 2, 3, 4), true)]).toEqual([3, 4, 5, 6, 2])
  expect([3, 4, 5, 6].map(letter)).toEqual(['A', 'C', 'G', 'T'])
  expect([0, 1, 2, 3, 6, 7].filter(counts)).toEqual([3, 6])
  expect([mask, appended]).toEqual([1, 0])
})
