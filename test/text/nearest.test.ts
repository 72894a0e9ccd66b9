import { expect, test } from 'vitest'
import { didYouMean, nearest } from '../../src/text/nearest.js'

test.each([
  ['clasify', 'classify'],
  ['classfiy', 'classify'],
  ['trian', 'train'],
  ['lst', 'list'],
  ['probability', 'probabilities'],
])('%s is meant to be %s', (typed, meant) => {
  expect(nearest(typed, ['list', 'info', 'classify', 'train', 'probabilities'])).toBe(meant)
})

test.each([['frobnicate'], ['x'], [''], ['li'], ['classify'.repeat(100_000)]])('%.12s is no slip', (typed) => {
  expect(nearest(typed, ['list', 'info', 'classify', 'train'])).toBeUndefined()
  expect(didYouMean(typed, ['list', 'info', 'classify', 'train'])).toBe('')
})

test('the first of those that are equally near', () => {
  expect(nearest('data', ['date', 'dates'])).toBe('date')
  expect(didYouMean('mask', ['masks', 'mast'])).toBe('; did you mean masks?')
})
