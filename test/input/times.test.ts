import { expect, test } from 'vitest'
import { UserError } from '../../src/errors.js'
import { readTimes } from '../../src/input/series/times.js'

const times = (...texts: string[]) =>
  readTimes(
    texts.map((text, i) => ({ text, line: i + 2 })),
    (what, line) => new UserError(`line ${line}: ${what}`, 65),
  )

test.each([
  [['2024-01-31'], '2024-02-01'],
  [['2024-02-27', '2024-02-28'], '2024-02-29'],
  [['2024-01', '2024-02'], '2024-03'],
  [['2023-10-01', '2023-11-01', '2024-01-01'], '2024-02-01'],
  [['2020-01-01', '2021-01-01'], '2022-01-01'],
  [['2024-03-30 23:45', '2024-03-31 00:00'], '2024-03-31 00:15'],
  [['2024-03-31T01:30:00', '2024-03-31T02:30:00'], '2024-03-31T03:30:00'],
  [['2024-03-31T01:30:00.250Z', '2024-03-31T01:30:00.500Z'], '2024-03-31T01:30:00.750Z'],
  [['2024-01-01T00:00:00+02:00', '2024-01-01T01:00:00+02:00'], '2024-01-01T00:00:00Z'],
  [['1', '2', '4'], '5'],
  [['0.1', '0.2', '0.3'], '0.4'],
  [['-10', '-5'], '0'],
])('after %j comes %s', (texts, next) => {
  const { steps, text } = times(...texts)
  expect(steps[0]).toBe(0)
  expect(text(steps[steps.length - 1] + 1)).toBe(next)
  expect(steps.map(text).map((one) => Date.parse(one) || one)).toEqual(texts.map((one) => Date.parse(one) || one))
})

test('rows that are missing are steps', () => {
  expect(times('2024-01-01', '2024-01-02', '2024-01-05').steps).toEqual([0, 1, 4])
  expect(times('2024-01', '2024-03', '2024-09').steps).toEqual([0, 1, 4])
})

test('a date that does not exist is none', () => {
  expect(() => times('2023-02-29')).toThrow("line 2: '2023-02-29', expected a date such as 2024-05-31 or a number")
  expect(() => times('1', '')).toThrow("line 3: ''")
})
