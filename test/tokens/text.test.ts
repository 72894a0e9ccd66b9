import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { packageRoot } from '../../src/runtime/package-root.js'
import { Encoding, TextTokenizer } from '../../src/tokens/text.js'
import { seeded } from '../engine/models.js'

/** Tokenizers that the Python library `tokenizers` 0.23.2 made, and what it says of texts: see the README beside them. */
const specimen = (name: string) =>
  JSON.parse(readFileSync(join(packageRoot, `test/specimens/text/${name}.json`), 'utf8'))
const names = ['byte-level', 'byte-fallback', 'characters']
const tokenizerOf = (name: string) => new TextTokenizer({ tokenizer: specimen(name), config: {} })

describe.each(names)('%s', (name) => {
  const tokenizer = tokenizerOf(name)

  test('ids and text are those of the Rust library', () => {
    const cases: { text: string; ids: number[]; decoded: string }[] = specimen(`${name}.cases`)
    for (const { text, ids, decoded } of cases) {
      // An empty text has no tokens here, not even those before it.
      expect([...tokenizer.encode(text)], text).toEqual(text === '' ? [] : ids)
      expect(tokenizer.decode(ids), text).toBe(decoded)
    }
  })
})

test('a long text has the same ids in whatever parts it comes, and is not held', () => {
  const tokenizer = tokenizerOf('byte-level')
  const random = seeded(5)
  const words = ['the', 'genome', 'Grüße', '日本語', "don't", '12', 'a,', '<|endoftext|>', '  ', '\n']
  const text = Array.from({ length: 15_000 }, () => words[Math.floor(random() * words.length)]).join(' ')
  const whole = [...tokenizer.encode(text)]
  expect(whole).toEqual(tokenizer.plain(text))
  const encoding = new Encoding(tokenizer)
  const ids: number[] = []
  for (let at = 0; at < text.length; ) {
    const length = 1 + Math.floor(random() * 20_000)
    ids.push(...encoding.push(text.slice(at, at + length)))
    at += length
  }
  expect(ids.length).toBeGreaterThan(0.7 * whole.length)
  ids.push(...encoding.end())
  expect(ids).toEqual(whole)
})

test('a text that cannot be cut is held, up to a limit', () => {
  const encoding = new Encoding(tokenizerOf('characters'))
  expect(encoding.push('A'.repeat(1 << 20))).toEqual([])
  expect(encoding.tooLong).toBe(false)
  encoding.push('A')
  expect(encoding.tooLong).toBe(true)
})
