import { describe, expect, it } from 'vitest'
import type { Output } from '../../src/output/output.js'
import { Cues, cueLimits, srtRows, srtTime, vttRows, vttTime } from '../../src/output/subtitles.js'
import { seeded } from '../engine/models.js'

function memory(): { output: Output; text: () => string } {
  let text = ''
  const output = {
    name: 'memory',
    patch: null,
    flush: async () => {},
    write: async (chunk: string | Uint8Array) => {
      text += chunk.toString()
    },
    finish: async () => {},
    close: async () => {},
    withdraw: async () => {},
    abort: async () => {},
  }
  return { output, text: () => text }
}

const rows = [
  { start: 0, end: 1.5, text: 'hello world' },
  { start: 3599.9996, end: 3601.25, text: ' a < b & c --> d\n\n2\nend ' },
]

describe('subtitles', () => {
  it('are srt', async () => {
    const { output, text } = memory()
    const writer = await srtRows(output)
    for (const row of rows) await writer.write(row)
    await writer.end()
    expect(text()).toBe(
      '1\n00:00:00,000 --> 00:00:01,500\nhello world\n\n' +
        '2\n01:00:00,000 --> 01:00:01,250\na < b & c --> d 2 end\n\n',
    )
  })

  it('are vtt', async () => {
    const { output, text } = memory()
    const writer = await vttRows(output)
    for (const row of rows) await writer.write(row)
    await writer.end()
    expect(text()).toBe(
      'WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nhello world\n\n' +
        '01:00:00.000 --> 01:00:01.250\na &lt; b &amp; c --&gt; d 2 end\n\n',
    )
  })

  it('have times rounded to the millisecond, of any length', () => {
    for (const [seconds, text] of [
      [0, '00:00:00.000'],
      [0.0004, '00:00:00.000'],
      [0.0005, '00:00:00.001'],
      [1.005, '00:00:01.005'],
      [59.9996, '00:01:00.000'],
      [61.5, '00:01:01.500'],
      [86399.999, '23:59:59.999'],
      [360_000, '100:00:00.000'],
    ] as const) {
      expect(vttTime(seconds)).toBe(text)
      expect(srtTime(seconds)).toBe(text.replace('.', ','))
    }
  })
})

describe('lines', () => {
  const word = (text: string, start: number, end = start + 0.3) => ({ text, start, end })
  const lines = (words: ReturnType<typeof word>[], limits = cueLimits) => {
    const cues = new Cues(limits)
    return [...words.flatMap((one) => cues.push([one], one.start)), ...cues.end()]
  }

  it('end at pauses', () => {
    const words = [word('one', 0), word('two', 0.5), word('three', 1.6), word('four', 2)]
    expect(lines(words)).toEqual([
      { start: 0, end: 0.8, text: 'one two', words: words.slice(0, 2) },
      { start: 1.6, end: 2.3, text: 'three four', words: words.slice(2) },
    ])
    expect(lines([])).toEqual([])
  })

  it('come as soon as the pause is sure', () => {
    const cues = new Cues()
    expect(cues.push([word('one', 0), word('two', 0.5)], 1.5)).toEqual([])
    expect(cues.push([], 1.61).map(({ text }) => text)).toEqual(['one two'])
    expect([...cues.push([word('three', 1.7)], 1.7), ...cues.end()].map(({ text }) => text)).toEqual(['three'])
  })

  it('keep to their length, and a word that is longer stands alone', () => {
    const limits = { ...cueLimits, characters: 10, seconds: 100, pause: 100 }
    const words = ['abcd', 'efghi', 'j', 'incomprehensible', 'k'].map((text, i) => word(text, i))
    expect(lines(words, limits).map(({ text }) => text)).toEqual(['abcd efghi', 'j', 'incomprehensible', 'k'])
  })

  it('keep to their seconds, and to order', () => {
    const words = Array.from({ length: 40 }, (_, i) => word('a', i / 2))
    const cues = lines(words)
    expect(cues.flatMap(({ text }) => text.split(' ')).length).toBe(40)
    for (const [i, { start, end }] of cues.entries()) {
      expect(end - start).toBeLessThanOrEqual(7)
      if (i > 0) expect(start).toBeGreaterThanOrEqual(cues[i - 1].end)
    }
    expect(cues.length).toBe(3)
  })

  it('are shown for half a second at least, never over the next one, and not into the silence beyond that', async () => {
    const random = seeded(8)
    for (let round = 0; round < 50; round++) {
      const words: ReturnType<typeof word>[] = []
      for (let at = random(); words.length < 60; at += random() < 0.2 ? 2 * random() : 0.05 * random()) {
        const text = 'w'.repeat(1 + Math.floor((random() < 0.1 ? 45 : 8) * random()))
        words.push(word(text, at, at + 0.02 + 0.4 * random()))
        at = words.at(-1)!.end
      }
      const { output, text } = memory()
      const writer = await srtRows(output)
      const said = lines(words)
      for (const line of said) await writer.write(line)
      const shown = [...text().matchAll(/(\S+) --> (\S+)/g)].map(([, ...times]) => times.map(secondsOf))
      for (const [i, [start, end]] of shown.entries()) {
        expect(end - start).toBeGreaterThanOrEqual(0.499)
        expect(end).toBeLessThanOrEqual(Math.max(said[i].end, start + 0.5) + 0.001)
        if (i > 0) expect(start).toBeGreaterThanOrEqual(shown[i - 1][1])
      }
    }
  })
})

function secondsOf(time: string): number {
  const [hours, minutes, seconds] = time.replace(',', '.').split(':').map(Number)
  return (hours * 60 + minutes) * 60 + seconds
}
