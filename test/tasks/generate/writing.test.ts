import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { packageRoot } from '../../../src/runtime/package-root.js'
import { Stops, Words } from '../../../src/tasks/generate/writing.js'
import { TextTokenizer } from '../../../src/tokens/text.js'

const tokenizerOf = (name: string) => {
  const file = join(packageRoot, `test/specimens/text/${name}.json`)
  return new TextTokenizer({ tokenizer: JSON.parse(readFileSync(file, 'utf8')), config: {} })
}

test.each(['byte-level', 'byte-fallback'])('%s: characters come whole, blanks as they are', (name) => {
  const tokenizer = tokenizerOf(name)
  const text = 'Once upon a time: Grüße 日本語 😀 👩‍🔬 and  two.'
  const ids = tokenizer.plain(text)
  for (const cut of [1, 3, 10, ids.length - 1]) {
    // A prompt is text: it ends with a whole character.
    const before = tokenizer.decode(ids.slice(0, cut))
    if (before.endsWith('\ufffd')) continue
    const words = new Words(tokenizer, Int32Array.from(ids.slice(0, cut)))
    const parts = [...ids.slice(cut).map((id) => words.push(id)), words.end()]
    for (const part of parts) expect(part).not.toMatch(/\ufffd/)
    expect(parts.join('')).toBe(tokenizer.decode(ids).slice(before.length))
    expect(parts.filter((part) => part !== '').length).toBeGreaterThan(parts.length / 4)
  }
  const half = new Words(tokenizer, Int32Array.of(ids[0]))
  const emoji = tokenizer.plain('😀').slice(0, -1)
  expect(
    emoji
      .slice(-2)
      .map((id) => half.push(id))
      .join(''),
  ).toBe('')
  expect(half.end()).toMatch(/^\ufffd+$/)
})

test('a text ends before the first stop, whatever parts it comes in', () => {
  const run = (stops: string[], parts: string[]) => {
    const s = new Stops(stops)
    const out = parts.map((part) => (s.stopped ? '' : s.push(part)))
    return [[...out, s.end()].join('|'), s.stopped]
  }
  expect(run(['END'], ['aE', 'N', 'D b'])).toEqual(['a|||', true])
  expect(run(['END'], ['aE', 'Nx', 'EN'])).toEqual(['a|ENx||EN', false])
  expect(run(['bc', 'ab'], ['xabc'])).toEqual(['x|', true])
  expect(run(['aab'], ['aa', 'a', 'b'])).toEqual(['|a||', true])
  expect(run([], ['any', 'thing'])).toEqual(['any|thing|', false])
})
