import { expect, test } from 'vitest'
import { mebibytesUp, parseSize, sizeFlag, sizeText } from '../../src/text/size.js'

test.each([
  ['512M', 512 * 2 ** 20],
  ['1.5G', 1.5 * 2 ** 30],
  ['2gib', 2 ** 31],
  ['64 KiB', 65_536],
  ['1TB', 2 ** 40],
  ['512', null],
  ['M', null],
  ['-1G', null],
  ['1e3M', null],
  ['', null],
])('%s', (text, bytes) => expect(parseSize(text)).toBe(bytes))

test('sizes are written for people, and so that a flag takes them', () => {
  const bytes = [18_000, 9.55 * 2 ** 20, 512 * 2 ** 20, 3000 * 2 ** 20, 45.2 * 2 ** 30]
  expect(bytes.map(sizeText)).toEqual(['18 KiB', '9.6 MiB', '512 MiB', '3,000 MiB', '45.2 GiB'])
  expect(sizeFlag(512 * 2 ** 20 + 1)).toBe('513M')
  expect(parseSize(sizeFlag(123_456_789))).toBe(mebibytesUp(123_456_789))
})
