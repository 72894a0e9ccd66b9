import { describe, expect, it } from 'vitest'
import { loudnessOf, WordTimes } from '../../../src/tasks/audio/word-times.js'
import type { SpelledWord, Word } from '../../../src/tasks/language/words.js'
import { seeded } from '../../engine/models.js'

const frames = 4
const options = { frames, seconds: 0.01, offset: 0 }

interface Said {
  start: number
  end: number
  /** Its tokens, in rows: first, and behind the last. */
  tokens: [number, number]
}

/** Loudness of `seconds` with words, `noise` elsewhere; closures of 60 ms inside words that have room for one. */
function spoken(seconds: number, said: Said[], noise: number, random = seeded(1)): Float32Array {
  return Float32Array.from({ length: seconds * 100 }, (_, t) => {
    const word = said.find(({ start, end }) => t >= start * 100 && t < end * 100)
    const closure = word && word.end - word.start > 0.4 && t > word.end * 100 - 16 && t <= word.end * 100 - 10
    return (word && !closure ? 0.5 : noise) + 0.1 * random()
  })
}

const spell = ({ tokens: [first, end] }: Said, i: number): SpelledWord => ({ text: `w${i}`, first, end })

/** As a decoder gives them that knows a token when its last row is over. */
function timed(loudness: Float32Array, words: SpelledWord[], cuts: number[]): { words: Word[]; settled: number[] } {
  const times = new WordTimes(options)
  const found: Word[] = []
  const settled: number[] = []
  const rows = Math.ceil(loudness.length / frames)
  let row = 0
  for (const cut of [...cuts, rows]) {
    const complete = words.filter(({ end }) => end > row && end <= cut)
    const open = words.find(({ first, end }) => first < cut && end > cut)?.first
    row = cut
    const from = found.length
    found.push(...times.push(loudness.subarray(before(cut), cut * frames), complete, open ?? cut, open !== undefined))
    for (const { start } of found.slice(from)) expect(start).toBeGreaterThanOrEqual((settled.at(-1) ?? 0) - 1e-9)
    settled.push(times.settled)
  }
  return { words: [...found, ...times.end()], settled }

  function before(cut: number): number {
    const at = [...cuts, rows].indexOf(cut)
    return at === 0 ? 0 : [...cuts, rows][at - 1] * frames
  }
}

const said: Said[] = [
  { start: 0.62, end: 0.95, tokens: [20, 21] },
  { start: 1.4, end: 2.0, tokens: [40, 42] },
  { start: 3.5, end: 3.7, tokens: [90, 91] },
]

describe('word times', () => {
  it.each([
    ['digital silence', -2],
    ['noise 30 dB below', -1],
    ['noise 15 dB below', -0.25],
  ])('hold the word, in %s', (_, noise) => {
    const { words } = timed(spoken(5, said, noise), said.map(spell), [])
    expect(words.map(({ text }) => text)).toEqual(['w0', 'w1', 'w2'])
    for (const [i, { start, end }] of words.entries()) {
      expect(Math.abs(start - said[i].start)).toBeLessThan(0.015)
      expect(Math.abs(end - said[i].end)).toBeLessThan(0.015)
    }
  })

  it('part words that touch where it is quietest, and reach no further than half a second', () => {
    const touching: Said[] = [
      { start: 1, end: 1.5, tokens: [31, 32] },
      { start: 1.5, end: 2, tokens: [43, 45] },
    ]
    const loudness = spoken(4, touching, 0.5)
    loudness.fill(-0.2, 148, 152)
    const { words } = timed(loudness, touching.map(spell), [])
    expect(Math.abs(words[0].end - 1.5)).toBeLessThan(0.06)
    expect(Math.abs(words[1].start - 1.5)).toBeLessThan(0.06)
    expect(words[0].end).toBeLessThanOrEqual(words[1].start)
    // All of it is as loud as the words.
    expect(words[0].start).toBeCloseTo(31 * 0.04 - 0.5, 6)
    expect(words[1].end).toBeCloseTo(45 * 0.04 + 0.5, 6)
  })

  it('are the same however the rows are cut, in order, and no earlier than was said', () => {
    const random = seeded(5)
    for (let round = 0; round < 40; round++) {
      const words: SpelledWord[] = []
      for (let row = 3; row < 480; ) {
        const end = row + 1 + Math.floor(4 * random())
        words.push({ text: `w${words.length}`, first: row, end })
        row = end + Math.floor((random() < 0.3 ? 40 : 8) * random())
      }
      const loudness = Float32Array.from({ length: 500 * frames }, () => 2 * random() - 1.5)
      const whole = timed(loudness, words, []).words
      expect(whole.length).toBe(words.length)
      for (const [i, { start, end }] of whole.entries()) {
        const { first, end: last } = words[i]
        expect(start).toBeGreaterThanOrEqual(Math.max(first * 0.04 - 0.5, whole[i - 1]?.end ?? 0) - 1e-9)
        expect(start).toBeLessThanOrEqual(first * 0.04 + 1e-9)
        expect(end).toBeGreaterThanOrEqual(last * 0.04 - 1e-9)
        expect(end).toBeLessThanOrEqual(last * 0.04 + 0.5 + 1e-9)
      }
      const cuts = [...new Set(Array.from({ length: 30 }, () => Math.floor(500 * random())))].sort((a, b) => a - b)
      const each = Array.from({ length: 500 }, (_, r) => r)
      for (const some of [cuts, each]) expect(timed(loudness, words, some).words).toEqual(whole)
    }
  })

  it('come half a second behind the last token at most, while nothing more is said', () => {
    const each = Array.from({ length: 125 }, (_, r) => r)
    const { settled } = timed(spoken(5, said.slice(0, 1), -2), said.slice(0, 1).map(spell), each)
    const given = settled.findIndex((seconds) => seconds > 0.9)
    expect(given * 0.04 - 21 * 0.04).toBeLessThanOrEqual(0.55)
    expect(settled.at(-1)).toBeCloseTo(125 * 0.04 - 0.5, 6)
  })

  it('hold no more frames of hours than the part that is still open', () => {
    const times = new WordTimes(options)
    for (let row = 0; row < 3000; row++) {
      times.push(
        new Float32Array(frames).fill(-2),
        row % 100 === 50 ? [{ text: 'a', first: row, end: row + 1 }] : [],
        row + 1,
        false,
      )
      expect((times as unknown as { loudness: Float32Array }).loudness.length).toBeLessThan(200)
    }
  })

  it('go by the mean of the bands', () => {
    expect(loudnessOf(Float32Array.of(1, 0, -1, 4, -2, -2), 3)).toEqual(Float32Array.of(0, 0))
  })
})
