import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { runs } from '../../fuzz.js'
import { randomFrom } from '../dna/helpers.js'
import { type FlacOptions, withBlocks, writeFlac } from './flac-writer.js'
import { cutUp, decode, join, sameBytes, specimen } from './helpers.js'

/** Samples that a predictor has something to do with, the extremes among them. */
function samples(bits: number, length: number, seed: number, wasted = 0): number[] {
  const random = randomFrom(seed)
  const limit = 2 ** (bits - 1 - wasted)
  const values = Array.from({ length }, (_, i) => Math.floor(limit * (0.6 * Math.sin(i / 9) + 0.3 * (random() - 0.5))))
  return [-limit, limit - 1, ...values.slice(2)].map((value) => value * 2 ** wasted)
}

const scaled = (channel: number[], bits: number) => Float32Array.from(channel, (value) => value / 2 ** (bits - 1))

/** What the file gives for each of its channels must be these samples, to the last bit. */
async function expectExact(channels: number[][], options: FlacOptions) {
  const { bytes } = writeFlac(channels, options)
  for (const [i, channel] of channels.entries()) {
    const { samples, warnings, error } = await decode([bytes], { channel: i + 1 })
    expect([error?.message, warnings]).toEqual([undefined, []])
    expect(sameBytes(samples, scaled(channel, options.bits ?? 16)), JSON.stringify(options)).toBe(true)
  }
}

describe('samples are those that were written, to the last bit', () => {
  test.each([4, 8, 10, 12, 16, 20, 24, 32])('%i bits, 1 to 8 channels', async (bits) => {
    for (const count of [1, 2, 8]) {
      const channels = Array.from({ length: count }, (_, c) => samples(bits, 300, c))
      await expectExact(channels, { bits, block: 128 })
    }
  })

  test('every way to write them down', async () => {
    const way = fc.record({
      bits: fc.constantFrom(8, 12, 16, 24, 32),
      block: fc.constantFrom(64, 192, 256),
      stereo: fc.constantFrom('independent' as const, 'left-side' as const, 'side-right' as const, 'mid-side' as const),
      coding: fc.constantFrom('verbatim' as const, 'fixed' as const, 'linear' as const),
      order: fc.integer({ min: 1, max: 4 }),
      linearOrder: fc.integer({ min: 1, max: 32 }),
      wasted: fc.integer({ min: 0, max: 3 }),
      partitions: fc.integer({ min: 0, max: 1 }),
      isPlain: fc.boolean(),
      wide: fc.boolean(),
      isVariable: fc.boolean(),
      seed: fc.nat(),
    })
    await fc.assert(
      fc.asyncProperty(way, async ({ seed, linearOrder, ...given }) => {
        // What a bad prediction misses has to fit: plain numbers have up to 31 bits.
        const bits = given.isPlain && given.coding !== 'verbatim' ? Math.min(given.bits, 16) : given.bits
        const order = given.coding === 'linear' ? Math.min(linearOrder, 32) : given.order
        const rice = given.isPlain ? 31 : Math.min(given.wide ? 30 : 14, Math.max(1, bits - 2))
        const options = { ...given, bits, order, rice }
        // The mean of two samples has one low bit fewer that is 0.
        const zeros = given.wasted === 0 ? 0 : given.wasted + 1
        const channels = [0, 1].map((c) => samples(bits, 384, seed + c, zeros))
        // 24 bits and more would need unary codes of millions of zeros with 4 bits of parameter.
        if (!given.isPlain && !given.wide && bits > 16) options.coding = 'verbatim'
        await expectExact(channels, options)
      }),
      runs(60),
    )
  })

  test('all the same', async () => {
    await expectExact([new Array(500).fill(-77), new Array(500).fill(12)], { coding: 'constant' })
  })

  test('however the file is cut, whatever part is asked for', async () => {
    const bytes = specimen('speechbrain_example2.flac')
    const whole = (await decode([bytes])).samples
    expect(whole).toHaveLength(33_088)
    const random = randomFrom(5)
    for (let i = 0; i < 5; i++) expect(sameBytes((await decode(cutUp(bytes, random))).samples, whole)).toBe(true)
    const { audio, samples } = await decode([bytes], { offset: 0.5, duration: 1.0001 })
    expect(sameBytes(samples, whole.subarray(8000, 8000 + 16_002))).toBe(true)
    expect(audio?.length).toBe(16_002)
  })
})

describe('what stands around the frames', () => {
  const channel = samples(16, 2000, 1)
  const { head, frames, bytes } = writeFlac([channel])
  const expected = scaled(channel, 16)

  test('tags and pictures are passed over, also where they hold what looks like a frame', async () => {
    const picture = Buffer.concat([Buffer.alloc(3_000_000, 1), ...frames, Buffer.from('fLaC')])
    const { audio, samples, warnings } = await decode([withBlocks(head, [picture, Buffer.alloc(8)]), ...frames])
    expect([audio?.length, warnings]).toEqual([2000, []])
    expect(sameBytes(samples, expected)).toBe(true)
  })

  test('ID3 in front, ID3 and zeros behind', async () => {
    const id3 = Buffer.concat([Buffer.from([0x49, 0x44, 0x33, 4, 0, 0, 0, 0, 0x27, 0x08]), Buffer.alloc(5000, 0xff)])
    const { samples, warnings } = await decode([
      id3,
      id3,
      bytes,
      Buffer.from(`TAG${'x'.repeat(125)}`),
      Buffer.alloc(99),
    ])
    expect(warnings).toEqual([])
    expect(sameBytes(samples, expected)).toBe(true)
  })

  test('another file behind it is read, also of another rate', async () => {
    const other = writeFlac([samples(24, 1000, 2), samples(24, 1000, 3)], { bits: 24, rate: 8000 })
    const { audio, samples: read, warnings } = await decode([bytes, other.bytes])
    expect([audio?.source, warnings]).toEqual([{ channels: 1, rate: 16_000, coding: '32-bit float' }, []])
    expect(read).toHaveLength(2000 + 2 * 1000)
    expect(sameBytes(read.subarray(0, 2000), expected)).toBe(true)
  })

  test('a header that does not know how many samples there are; one that begins in the middle', async () => {
    const unknown = await decode([writeFlac([channel], { total: 0 }).bytes])
    expect([unknown.audio?.length, unknown.samples.length, unknown.warnings]).toEqual([undefined, 2000, []])
    const late = await decode([writeFlac([channel], { first: 1_000_000, total: 0 }).bytes])
    expect([late.samples.length, late.warnings]).toEqual([2000, []])
  })

  test.each([
    ['a header that is cut off', head.subarray(0, 30), 'FLAC that ends inside its header'],
    ['no frame', head, 'FLAC without a sample in it: damaged, cut off or something else'],
    [
      'half a frame',
      Buffer.concat([head, frames[0].subarray(0, 100)]),
      'FLAC without a sample in it: damaged, cut off or something else',
    ],
    [
      'a header of another kind',
      Buffer.from('fLaC\x81\0\0\0', 'latin1'),
      'FLAC without a header that says its rate (STREAMINFO)',
    ],
  ])('%s is an error', async (_, bytes, message) => {
    const { error } = await decode([bytes])
    expect([error?.message, error?.exitCode]).toEqual([`test: ${message}`, 65])
  })
})

describe('damage keeps the time of what follows', () => {
  const channel = samples(16, 2560, 4)
  const { head, frames } = writeFlac([channel])
  const whole = scaled(channel, 16)
  const silent = (...lost: number[]) => {
    const expected = Float32Array.from(whole)
    for (const frame of lost) expected.fill(0, 256 * frame, 256 * (frame + 1))
    return expected
  }
  const flipped = (frame: Buffer, at: number) => {
    const copy = Buffer.from(frame)
    copy[at] ^= 1
    return copy
  }
  const changed = (change: (frame: Buffer, i: number) => Buffer) => frames.map(change)

  test.each<[string, Buffer[], number[], string]>([
    ['a bit of a sample', changed((frame, i) => (i === 3 ? flipped(frame, 200) : frame)), [3], 'at 0.048 s: 0.016 s'],
    ['a bit of a header', changed((frame, i) => (i === 3 ? flipped(frame, 4) : frame)), [3], 'at 0.048 s: 0.016 s'],
    ['the first frame', changed((frame, i) => (i === 0 ? flipped(frame, 9) : frame)), [0], 'at 0.000 s: 0.016 s'],
    [
      'two places',
      changed((frame, i) => (i % 5 === 1 ? flipped(frame, 99) : frame)),
      [1, 6],
      'in 2 places, the first at 0.016 s: 0.032 s',
    ],
    ['frames that are missing', frames.filter((_, i) => i !== 4 && i !== 5), [4, 5], 'at 0.064 s: 0.032 s'],
    [
      'zeros in place of frames',
      changed((frame, i) => (i === 7 || i === 8 ? Buffer.alloc(frame.length) : frame)),
      [7, 8],
      'at 0.112 s: 0.032 s',
    ],
  ])('%s', async (_, damaged, lost, where) => {
    const { samples, warnings, error } = await decode([head, ...damaged])
    expect(error).toBeUndefined()
    expect(warnings).toEqual([`test: damaged ${where} are read as silence`])
    expect(sameBytes(samples, silent(...lost))).toBe(true)
  })

  test('bytes in between are passed over', async () => {
    const { samples, warnings } = await decode([
      head,
      ...frames.slice(0, 5),
      Buffer.alloc(5000, 0xff),
      ...frames.slice(5),
    ])
    expect(warnings).toEqual(['test: damaged at 0.080 s: passed over'])
    expect(sameBytes(samples, whole)).toBe(true)
  })

  test('a file that is cut off says how much was read', async () => {
    const cut = Buffer.concat(frames).subarray(0, 1300)
    const { audio, samples, warnings, error } = await decode([head, cut])
    expect([audio?.length, error]).toEqual([2560, undefined])
    expect(warnings).toEqual(['test: cut off: 512 of 2560 samples read (0.032 s of 0.160 s)'])
    expect(sameBytes(samples, whole.subarray(0, 512))).toBe(true)
  })

  test('a number that is days ahead is no reason for days of silence', async () => {
    const later = writeFlac([channel], { first: 2 ** 30, total: 0 }).frames
    const { samples, warnings } = await decode([writeFlac([channel], { total: 0 }).head, ...frames, ...later])
    expect([samples.length, warnings]).toEqual([5120, []])
    expect(sameBytes(samples, join([whole, whole]))).toBe(true)
  })

  test('a file made of headers without frames is refused in time', async () => {
    const { error } = await decode([head, ...new Array(1500).fill(frames[3].subarray(0, 60))])
    expect([error?.message, error?.exitCode]).toEqual(['test: FLAC that is damaged in more than 1000 places', 65])
  })
})
