import { closeSync, mkdtempSync, openSync, rmSync, truncateSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join as joinPath } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { readAudio } from '../../../src/input/audio/read.js'
import { randomFrom } from '../dna/helpers.js'
import { chunk, cutUp, decode, fmt, int16, join, riff, sameBytes } from './helpers.js'

/** Noise of 16 bits. */
const noise = (length: number, seed = 1) => {
  const random = randomFrom(seed)
  return Array.from({ length }, () => Math.round(20_000 * (random() - 0.5)))
}
const floats = (values: number[]) => Buffer.from(Float32Array.from(values).buffer)
const floatWav = (values: number[], channels = 1) =>
  riff([chunk('fmt ', fmt({ tag: 3, bits: 32, channels })), chunk('data', floats(values))])

describe('figures that contradict each other: bits and channels count, as in ffmpeg and sox', () => {
  const data = Buffer.from(noise(480).flatMap((value) => [value & 255, (value >> 8) & 255]))
  // channels, bits, bytes of a frame in the header, bytes of a frame that are read (checked with ffmpeg 5.1 and sox
  // 14.4.2)
  test.each([
    [1, 16, 4, 2],
    [2, 16, 2, 4],
    [2, 16, 8, 4],
    [2, 16, 3, 4],
    [1, 8, 2, 1],
    [1, 24, 2, 3],
    [2, 24, 4, 6],
    [1, 32, 2, 4],
    [1, 20, 4, 3],
  ])('%i channels of %i bits in frames of %i bytes', async (channels, bits, block, read) => {
    const right = await decode([riff([chunk('fmt ', fmt({ channels, bits, block: read })), chunk('data', data)])])
    const wrong = await decode([riff([chunk('fmt ', fmt({ channels, bits, block })), chunk('data', data)])])
    expect(right.samples).toHaveLength(data.length / read)
    expect(sameBytes(wrong.samples, right.samples)).toBe(true)
    const what = `${channels} ${channels === 1 ? 'channel' : 'channels'} of ${bits} bits`
    expect(right.warnings).toEqual([])
    expect(wrong.warnings).toEqual([
      `test: the header says frames of ${block} bytes for ${what}: read as frames of ${read}`,
    ])
  })

  test('24 bits in places of 4 bytes are real where the bytes a second say so too', async () => {
    const header = fmt({ bits: 24, block: 4 })
    const bytes = Buffer.from([0, 0, 64, 99, 0, 0, 192, 99, 0, 0, 64, 99])
    const { samples, warnings } = await decode([riff([chunk('fmt ', header), chunk('data', bytes)])])
    expect([samples, warnings]).toEqual([Float32Array.of(0.5, -0.5, 0.5), []])
    header.writeUInt32LE(16000 * 3, 8)
    expect((await decode([riff([chunk('fmt ', header), chunk('data', bytes)])])).warnings).toHaveLength(1)
  })
})

describe('damaged samples', () => {
  test('beyond +40 dB and not finite: 0, counted, with the first place', async () => {
    const values = Array.from({ length: 32_000 }, (_, i): number => (i % 2 === 0 ? 0.25 : -0.25))
    const damaged = values.with(16_000, 3e38).with(16_001, -17_783).with(20_000, Number.NaN).with(5, 99)
    const expected = values.with(16_000, 0).with(16_001, 0).with(20_000, 0).with(5, 99)
    for (const blocks of [[floatWav(damaged)], cutUp(floatWav(damaged), randomFrom(3))]) {
      const { samples, warnings } = await decode(blocks)
      expect(sameBytes(samples, Float32Array.from(expected))).toBe(true)
      expect(warnings).toEqual([
        'test: 3 samples are no finite number or beyond +40 dB, the first at 1.000 s: read as 0',
      ])
    }
    // Only what is asked for is looked at, and places are those of the whole recording.
    expect((await decode([floatWav(damaged)], { duration: 0.5 })).warnings).toEqual([])
    expect((await decode([floatWav(damaged)], { offset: 1.1 })).warnings).toEqual([
      'test: 1 sample is no finite number or beyond +40 dB, the first at 1.250 s: read as 0',
    ])
  })

  test('in one channel: the others are the mean', async () => {
    const values = Array.from({ length: 3000 }, (_, i): number => [0.5, 0.25, -0.5][i % 3])
    const damaged = values.with(0, Number.NaN).with(3, Number.POSITIVE_INFINITY).with(4, 1e9).with(5, Number.NaN)
    const { samples, warnings } = await decode([floatWav(damaged, 3)])
    expect(samples.subarray(0, 3)).toEqual(Float32Array.of(-0.125, 0, 0.25 / 3))
    expect(warnings).toEqual([
      'test: 4 samples are no finite number or beyond +40 dB, the first at 0.000 s: left out of the mean',
    ])
    const whole = Array.from({ length: 2000 }, (_, i) => (i % 2 === 0 ? Number.NaN : 0.5))
    expect((await decode([floatWav(whole, 2)])).samples.every((sample) => sample === 0.5)).toBe(true)
  })
})

describe('channels that cancel each other', () => {
  const stereo = (left: number[], right: number[]) =>
    riff([chunk('fmt ', fmt({ channels: 2 })), chunk('data', int16(left.flatMap((value, i) => [value, right[i]])))])
  const warning = (from: string) =>
    `test: the channels cancel each other from ${from} s on, their mean is next to silence: read one of them (--channel 1)`
  const voice = noise(10 * 16_000)
  const against = voice.map((value) => -value)
  const second = 16_000

  test.each([
    ['in all', voice, against, '0.000'],
    ['in a short recording', voice.slice(0, second), against.slice(0, second), '0.000'],
    ['nearly, and only from the middle on', voice, voice.map((v, i) => (i < 3 * second ? v : -0.95 * v)), '3.000'],
  ])('%s: one warning', async (_, left, right, from) => {
    const rounded = right.map(Math.round)
    for (const blocks of [[stereo(left, rounded)], cutUp(stereo(left, rounded), randomFrom(5))]) {
      expect((await decode(blocks)).warnings).toEqual([warning(from)])
    }
    expect((await decode([stereo(left, rounded)], { channel: 1 })).warnings).toEqual([])
  })

  test.each([
    ['the same', voice, voice],
    ['unlike', voice, noise(voice.length, 9)],
    ['one silent', voice, voice.map(() => 0)],
    ['both silent', voice.map((_, i) => i % 2), voice.map((_, i) => -(i % 2))],
    ['against each other at half the strength', voice, against.map((value) => Math.round(value / 2))],
    ['a blink against each other', voice.slice(0, 1000), against.slice(0, 1000)],
  ])('%s: none', async (_, left, right) => {
    expect((await decode([stereo(left, right)])).warnings).toEqual([])
  })
})

describe('behind the samples', () => {
  const data = int16(noise(16_000))
  const file = (...behind: Uint8Array[]) =>
    Buffer.concat([riff([chunk('fmt ', fmt({})), chunk('data', data)]), ...behind])
  const small = Buffer.concat([
    chunk('LIST', Buffer.alloc(5000)),
    chunk('bext', Buffer.alloc(858)),
    chunk('odd ', Buffer.alloc(7)),
  ])
  const cure = 'if the size in the header is wrong: ffmpeg -ignore_length 1 -i FILE NEW.wav'

  test.each([
    ['other chunks', file(small), undefined],
    ['zero bytes', file(Buffer.alloc(100_000)), undefined],
    [
      'a chunk that is cut off',
      file(chunk('LIST', Buffer.alloc(3000)), Buffer.from('LIST\xff\0\0\0', 'latin1')),
      undefined,
    ],
    ['a few bytes of anything', file(Buffer.from('not a chunk at all')), undefined],
    ['another file', file(file()), `another WAV file begins at byte ${44 + data.length}: it is not read`],
    [
      'another file behind chunks',
      file(small, file()),
      `another WAV file begins at byte ${44 + data.length + small.length}: it is not read`,
    ],
    [
      'a second data chunk',
      file(chunk('LIST', Buffer.alloc(10)), chunk('data', data)),
      `a second 'data' chunk begins at byte ${44 + data.length + 18} (32000 bytes, 1.000 s): it is not read`,
    ],
    [
      'more samples',
      file(int16(noise(8000, 4))),
      `16000 bytes behind the samples are not read (0.500 s if they are samples); ${cure}`,
    ],
  ])('%s', async (_, bytes, warning) => {
    const alone = await decode([file()])
    for (const blocks of [[bytes], cutUp(bytes, randomFrom(2))]) {
      const decoded = await decode(blocks)
      expect(sameBytes(decoded.samples, alone.samples)).toBe(true)
      expect(decoded.warnings).toEqual(warning === undefined ? [] : [`test: ${warning}`])
    }
    expect((await decode([bytes], { duration: 0.5 })).warnings).toEqual([])
  })
})

describe('a size that is wrapped at 4 GiB', () => {
  const folder = mkdtempSync(joinPath(tmpdir(), 'longwave wrapped '))
  afterAll(() => rmSync(folder, { recursive: true }))

  /** A file with holes in place of most samples. */
  function sparse(name: string, size: number, bytes: number, riffSize: number) {
    const file = joinPath(folder, name)
    const handle = openSync(file, 'w')
    writeSync(handle, riff([chunk('fmt ', fmt({})), chunk('data', Buffer.alloc(0), size)], 'RIFF', riffSize))
    closeSync(handle)
    truncateSync(file, 44 + bytes)
    return file
  }
  const open = async (file: string) => {
    const warnings: string[] = []
    const audio = await readAudio(file, { report: ({ message }) => warnings.push(message.replace(`${file}: `, '')) })
    await audio.close()
    return { seconds: audio.length! / 16_000, warnings }
  }
  const bytes = 2 ** 32 + 3_200_000

  test('is that of the whole file', async () => {
    const warnings = [`the size in its header is wrapped at 4 GiB: read as ${bytes} bytes of samples`]
    const file = sparse('wrapped.wav', 3_200_000, bytes, 3_200_036)
    expect(await open(file)).toEqual({ seconds: bytes / 32_000, warnings })
    const withChunks = sparse('chunks.wav', 3_200_000, bytes + 500, 3_200_536)
    expect(await open(withChunks)).toEqual({ seconds: bytes / 32_000, warnings })
  })

  test('is not taken from what lies behind a file that says where it ends', async () => {
    const file = sparse('joined.wav', 3_200_000, bytes + 1_000_000, 3_200_036)
    expect(await open(file)).toEqual({ seconds: 100, warnings: [] })
  })
})

test.each([1, 20, 999])('%i samples a second are no sound: an error where they are to be resampled', async (rate) => {
  const bytes = riff([chunk('fmt ', fmt({ rate })), chunk('data', int16(noise(1000)))])
  const { error } = await decode([bytes], { rate: 16_000 })
  expect([error?.message, error?.exitCode]).toEqual([
    `test: ${rate} samples a second, expected at least 1000: less holds no sound`,
    65,
  ])
  expect(join([(await decode([bytes])).samples])).toHaveLength(1000)
})
