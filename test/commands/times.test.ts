import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readAudio } from '../../src/input/audio/read.js'
import { packageRoot } from '../../src/runtime/package-root.js'
import { chunk, fmt, int16, riff } from '../input/audio/helpers.js'
import { command } from '../run-command.js'
import { temporaryFolder } from '../shell/run.js'

const folder = temporaryFolder()
const digits = join(packageRoot, 'fixtures/digits.wav')
/** Where fixtures/digits.wav has its words, in seconds: by ear and by the waveform, where something parts them. */
const spoken = { start: 0.62, end: 2.3, words: [[0.62, 0.95], [1.02, undefined], [undefined, undefined], [undefined, 2.3]] } // biome-ignore format: one list

interface Line {
  start: number
  end: number
  text: string
  words: Line[]
}

const transcript = async (...args: string[]): Promise<string> => {
  const { code, stdout, stderr } = await command(['transcribe', '-q', '-m', 'digits', ...args])
  expect([stderr, code]).toEqual(['', 0])
  return stdout.toString()
}
const lines = async (path: string): Promise<Line[]> => JSON.parse(await transcript('-f', 'json', path))

test('words are held by their times within 0.1 s, whatever silence is between them', async () => {
  const [{ start, end, words }, ...others] = await lines(digits)
  expect([words.map(({ text }) => text), others]).toEqual([['two', 'six', 'four', 'eight'], []])
  expect(Math.abs(start - spoken.start)).toBeLessThan(0.03)
  expect(Math.abs(end - spoken.end)).toBeLessThan(0.03)
  for (const [i, [from, to]] of spoken.words.entries()) {
    if (from !== undefined) expect(Math.abs(words[i].start - from)).toBeLessThan(0.05)
    if (to !== undefined) expect(Math.abs(words[i].end - to)).toBeLessThan(0.05)
    if (i > 0) expect(words[i].start).toBeGreaterThanOrEqual(words[i - 1].end)
  }
})

test('cues of words that stand alone hold them, last half a second, and end soon after them', async () => {
  const samples: number[] = []
  for await (const block of await readAudio(digits)) samples.push(...Array.from(block, (x) => Math.round(x * 32767)))
  const rate = 16_000
  const two = samples.slice(0.6 * rate, 0.97 * rate)
  const pauses = [1, 1.7, 2.4, 1.2]
  const placed: number[] = []
  const said = pauses.map((pause) => {
    placed.push(...Array(pause * rate).fill(0))
    const start = placed.length / rate + 0.02
    placed.push(...two)
    return { start, end: start + 0.33 }
  })
  placed.push(...Array(rate).fill(0))
  const path = join(folder, 'twos.wav')
  writeFileSync(path, riff([chunk('fmt ', fmt({ rate })), chunk('data', int16(placed))]))
  const srt = await transcript('-f', 'srt', path)
  const cues = [...srt.matchAll(/00:00:(\S+) --> 00:00:(\S+)\n(\w+)\n/g)].map(([, from, to, text]) => ({
    start: Number(from.replace(',', '.')),
    end: Number(to.replace(',', '.')),
    text,
  }))
  expect(cues.map(({ text }) => text)).toEqual(['two', 'two', 'two', 'two'])
  const words = (await lines(path)).flatMap((line) => line.words)
  for (const [i, { start, end }] of said.entries()) {
    expect(Math.abs(words[i].start - start)).toBeLessThan(0.05)
    expect(Math.abs(words[i].end - end)).toBeLessThan(0.08)
    expect(cues[i].start).toBeCloseTo(words[i].start, 3)
    expect(cues[i].end).toBeCloseTo(Math.max(words[i].end, words[i].start + 0.5), 3)
  }
})
