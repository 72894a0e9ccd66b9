import { describe, expect, test, vi } from 'vitest'
import { randomFrom } from '../dna/helpers.js'
import { standIns } from './ffmpeg-helpers.js'
import { writeFlac } from './flac-writer.js'
import { cutUp, decode, join, sameBytes, specimen } from './helpers.js'
import { changed, packetsOf, pagesOf, writeOgg } from './ogg-writer.js'

const stand = standIns()

/** FLAC in Ogg: what is decoded is known to the last bit. Pages of one packet, of 256 samples each. */
function oggFlac(length: number, options: { serial?: number; rate?: number; value?: number; channels?: number } = {}) {
  const { serial = 1, rate = 16_000, value = 1000, channels = 1 } = options
  const samples = Array.from({ length }, (_, i) => value + (i % 50))
  const { head, frames } = writeFlac(new Array(channels).fill(samples), { rate })
  const first = Buffer.concat([Buffer.from('\x7fFLAC\x01\0\0\x01', 'latin1'), head])
  const tags = Buffer.from('\x84\0\0\0', 'latin1')
  const granules = frames.map((_, i) => Math.min(length, 256 * (i + 1)))
  const pages = writeOgg([first, tags, ...frames], [0, 0, ...granules], serial)
  return { pages, samples: Float32Array.from(samples, (sample) => sample / 32_768) }
}

const vorbis = pagesOf(specimen('derived_jfk_16k.ogg'))
const opusPages = pagesOf(specimen('lhotse_mono_c0.opus'))
const [opusHead, opusTags, ...opusPackets] = opusPages.flatMap(packetsOf)
const preSkip = opusHead.readUInt16LE(10)
/** The same packets in pages of one each. */
const opus = writeOgg(
  [opusHead, opusTags, ...opusPackets],
  [0, 0, ...opusPackets.map((_, i) => Math.min(24_260 + preSkip, 960 * (i + 1)))],
)
const whole = async (pages: Buffer[]) => (await decode(pages)).samples

describe('a whole file', () => {
  test.each([
    ['FLAC', oggFlac(2000).pages, 2000],
    ['Opus', opus, 24_260],
    ['Vorbis', vorbis, 51_200],
  ])('%s is the same however it is cut', async (_, pages, length) => {
    const { samples, warnings, error } = await decode(pages)
    expect([error, warnings, samples.length]).toEqual([undefined, [], length])
    const random = randomFrom(7)
    expect(sameBytes((await decode(cutUp(Buffer.concat(pages), random))).samples, samples)).toBe(true)
    const part = await decode(pages, { offset: 0.01, duration: 0.02 })
    const rate = part.audio!.rate
    expect(sameBytes(part.samples, samples.subarray(0.01 * rate, 0.03 * rate))).toBe(true)
  })

  test('FLAC to the last bit, also with packets over several pages and tags of megabytes', async () => {
    const { pages, samples } = oggFlac(2000)
    expect(sameBytes(await whole(pages), samples)).toBe(true)
    const [head, , ...frames] = pages.flatMap(packetsOf)
    const tags = Buffer.concat([Buffer.from([0x84, 0x4c, 0x4b, 0x40]), Buffer.alloc(5_000_000, 0xff)])
    const granules = frames.map((_, i) => Math.min(2000, 256 * (i + 1)))
    const { samples: read, warnings } = await decode(writeOgg([head, tags, ...frames], [0, 0, ...granules]))
    expect(warnings).toEqual([])
    expect(sameBytes(read, samples)).toBe(true)
    const loud = Array.from({ length: 70_000 }, (_, i) => (i % 9) * 1000)
    const long = writeFlac([loud], { block: 65_535, bits: 24 })
    const first = Buffer.concat([Buffer.from('\x7fFLAC\x01\0\0\0', 'latin1'), long.head])
    const continued = writeOgg([first, ...long.frames], [0, 65_535, 70_000])
    expect(continued.length).toBeGreaterThan(4)
    const expected = Float32Array.from(loud, (value) => value / 2 ** 23)
    expect(sameBytes(await whole(continued), expected)).toBe(true)
  })

  test('Opus in one page or in many is the same; the gain of its header counts', async () => {
    const samples = await whole(opus)
    expect(sameBytes(await whole(opusPages), samples)).toBe(true)
    const louder = Buffer.from(opusHead)
    louder.writeInt16LE(Math.round(256 * 20 * Math.log10(2)), 16)
    const [, ...rest] = opus
    const doubled = await whole([...writeOgg([louder], [0]).map((page) => changed(page, { flags: 2 })), ...rest])
    expect(doubled).toHaveLength(samples.length)
    expect(doubled.every((value, i) => Math.abs(value - 2 * samples[i]) < 1e-3 * Math.abs(samples[i]) + 1e-9)).toBe(
      true,
    )
  })

  test('what the last page has too many of is left out, and pages may count from anywhere', async () => {
    const samples = await whole(vorbis)
    const last = changed(vorbis.at(-1)!, { granule: 51_200 - 300 })
    expect(sameBytes(await whole([...vorbis.slice(0, -1), last]), samples.subarray(0, 50_900))).toBe(true)
    const later = vorbis.map((page, i) =>
      i < 2 ? page : changed(page, { granule: Number(page.readBigInt64LE(6)) + 5e9 }),
    )
    const { samples: read, warnings } = await decode(later)
    expect([read.length, warnings]).toEqual([51_200, []])
    expect(sameBytes(read, samples)).toBe(true)
  })

  test('a stream that describes others does not count, nor do pages of none that has begun', async () => {
    const { pages, samples } = oggFlac(1000)
    const skeleton = writeOgg([Buffer.from('fishead\0\x04\0'), Buffer.from('fisbone\0')], [0, 0], 77)
    const { samples: read, warnings } = await decode([skeleton[0], pages[0], skeleton[1], ...pages.slice(1)])
    expect(warnings).toEqual([])
    expect(sameBytes(read, samples)).toBe(true)
  })
})

describe('streams one behind the other', () => {
  test('are one recording', async () => {
    const [a, b] = [oggFlac(1000), oggFlac(700, { serial: 2, value: -5000 })]
    const { samples, warnings } = await decode([...a.pages, ...b.pages])
    expect(warnings).toEqual([])
    expect(sameBytes(samples, join([a.samples, b.samples]))).toBe(true)
    const both = await decode([...vorbis, ...opus.map((page) => changed(page, { serial: 5 }))])
    // 24,260 at 48,000 a second are a third of that at 16,000.
    expect([both.samples.length, both.warnings]).toEqual([51_200 + Math.ceil(24_260 / 3), []])
    expect(sameBytes(both.samples.subarray(0, 51_200), await whole(vorbis))).toBe(true)
  })

  test('of other rates and channels take those of the first', async () => {
    const [a, b] = [oggFlac(1000), oggFlac(3000, { serial: 2, rate: 48_000, channels: 2, value: 16_384 })]
    const { audio, samples, warnings } = await decode([...a.pages, ...b.pages, ...oggFlac(500, { serial: 3 }).pages])
    expect([audio?.source.channels, audio?.rate, samples.length, warnings]).toEqual([1, 16_000, 2500, []])
    expect(sameBytes(samples.subarray(0, 1000), a.samples)).toBe(true)
    expect(samples[1500]).toBeCloseTo(0.5, 2)
    expect(sameBytes(samples.subarray(2000), a.samples.subarray(0, 500))).toBe(true)
  })

  test('of a rate that comes from damage are an error', async () => {
    const { samples, error } = await decode([...oggFlac(1000).pages, ...oggFlac(1000, { serial: 2, rate: 7 }).pages])
    expect([error?.message, error?.exitCode]).toEqual([
      'test: 7 samples a second on its way, expected at least 1000',
      65,
    ])
    expect(samples).toHaveLength(1000)
  })

  test('of a kind that is not read are named', async () => {
    const { pages, samples } = oggFlac(1000)
    const { samples: read, warnings } = await decode([...pages, ...writeOgg([Buffer.from('Speex   1.2')], [0], 9)])
    expect(warnings).toEqual(['test: a stream of another kind begins at 0.063 s: it is not read'])
    expect(sameBytes(read, samples)).toBe(true)
  })
})

describe('damage keeps the time of what follows', () => {
  const flipped = (page: Buffer) => {
    const copy = Buffer.from(page)
    copy[copy.length - 5] ^= 1
    return copy
  }
  const ways: [string, (pages: Buffer[], at: number) => Buffer[]][] = [
    ['a page that is lost', (pages, at) => pages.filter((_, i) => i !== at)],
    ['a bit of a page', (pages, at) => pages.map((page, i) => (i === at ? flipped(page) : page))],
    ['zeros in a page', (pages, at) => pages.map((page, i) => (i === at ? Buffer.alloc(page.length) : page))],
  ]

  test.each(ways)('%s of FLAC becomes silence', async (_, change) => {
    const { pages, samples } = oggFlac(2000)
    const expected = Float32Array.from(samples).fill(0, 512, 768)
    const { samples: read, warnings } = await decode(change(pages, 4))
    expect(warnings).toEqual(['test: damaged at 0.032 s: 0.016 s are read as silence'])
    expect(sameBytes(read, expected)).toBe(true)
  })

  test.each(ways)('%s of Opus and Vorbis too', async (_, change) => {
    const [o, v] = [await decode(change(opus, 10)), await decode(change(vorbis, 3))]
    expect([o.samples.length, v.samples.length]).toEqual([24_260, 51_200])
    expect(o.warnings).toEqual([expect.stringMatching(/^test: damaged at 0\.\d+ s: 0\.020 s are read as silence$/)])
    expect(v.warnings).toEqual([expect.stringMatching(/^test: damaged at 1\.000 s: 1\.0\d\d s are read as silence$/)])
    const start = 960 * 8 - preSkip
    expect(sameBytes(o.samples.subarray(0, start), (await whole(opus)).subarray(0, start))).toBe(true)
    expect(o.samples.subarray(start, start + 960).every((sample) => sample === 0)).toBe(true)
  })

  test('bytes between pages are passed over', async () => {
    const { pages, samples } = oggFlac(2000)
    const { samples: read, warnings } = await decode([
      ...pages.slice(0, 5),
      Buffer.from('OggS\0'.repeat(999)),
      ...pages.slice(5),
    ])
    expect(warnings).toEqual(['test: damaged at 0.048 s: passed over'])
    expect(sameBytes(read, samples)).toBe(true)
  })

  test('a recording that was begun in the middle counts from there', async () => {
    const later = vorbis.filter((_, i) => i !== 2)
    const { samples, warnings } = await decode(later)
    expect(samples.length).toBeGreaterThan(51_200 - 16_000 - 2048)
    expect(samples.length).toBeLessThanOrEqual(51_200 - 16_000)
    expect(warnings).toEqual([])
  })

  test.each([
    ['between pages', 1000, 0],
    ['inside a page', 1000, 100],
  ])('cut off %s', async (_, length, less) => {
    const { pages, samples } = oggFlac(length)
    const cut = Buffer.concat(pages.slice(0, 5)).subarray(0, -less || undefined)
    const frames = less > 0 ? 2 : 3
    const { samples: read, warnings } = await decode([cut])
    const at = ((256 * frames) / 16_000).toFixed(3)
    expect(warnings).toEqual([`test: ends without its last page, after ${at} s: it may be cut off`])
    expect(sameBytes(read, samples.subarray(0, 256 * frames))).toBe(true)
  })

  test('packets longer than a decoder takes', async () => {
    for (const [pages, lost, granule, length] of [
      [opus, 10, 960 * 9, 24_260],
      [vorbis, 3, 32_384, 51_200],
    ] as const) {
      const long = writeOgg([Buffer.alloc(200_000)], [granule], pages[0].readUInt32LE(14))
      const numbered = [...pages.slice(0, lost), ...long, ...pages.slice(lost + 1)].map((page, i) =>
        changed(page, { sequence: i, flags: i === 0 ? 2 : i === lost ? 0 : page[5] }),
      )
      const { samples, error, warnings } = await decode(numbered)
      expect([error, samples.length, warnings.length]).toEqual([undefined, length, 1])
    }
  })

  test('packets that are damaged where the page is not', async () => {
    const printed = vi.spyOn(console, 'error')
    const broken = opus.map((page, i) => {
      if (i !== 10) return page
      const copy = Buffer.from(page)
      copy.fill(0xff, 28)
      return changed(copy)
    })
    const { samples, warnings } = await decode(broken)
    expect([samples.length, warnings.length, printed.mock.calls]).toEqual([24_260, 1, []])
    printed.mockRestore()
  })

  test.each([
    ['headers alone', vorbis.slice(0, 2)],
    [
      'a setup that is none',
      [
        vorbis[0],
        ...writeOgg([Buffer.from('\x05vorbisxxxxxxxxxxx'), Buffer.alloc(50)], [0, 900]).map((page, i) =>
          changed(page, { serial: vorbis[0].readUInt32LE(14), flags: 0, sequence: i + 1 }),
        ),
      ],
    ],
  ])('%s: an error', async (_, pages) => {
    const { error, samples } = await decode(pages)
    expect([error?.message, error?.exitCode, samples.length]).toEqual([
      'test: Ogg without a sample in it: damaged, cut off or something else',
      65,
      0,
    ])
  })
})

describe('what is left to ffmpeg', () => {
  const head = (packet: string) => writeOgg([Buffer.from(packet, 'latin1')], [0], 3)
  test.each([
    ['Speex', head('Speex   1.2')],
    ['a film', [...head('\x80theora\x03\x02\x01'), ...oggFlac(1000).pages]],
    ['two tracks of sound', [oggFlac(100).pages[0], ...oggFlac(100, { serial: 2 }).pages]],
    ['ambisonics in Opus', [changed(Buffer.from(opus[0].map((byte, i) => (i === 28 + 18 ? 3 : byte))))]],
    ['a first page that is damaged', [Buffer.from(opus[0].map((byte, i) => (i === 40 ? byte ^ 1 : byte)))]],
  ])('%s', async (_, pages) => {
    stand.remove()
    const { error } = await decode(pages)
    const cure = 'install it, or convert the file to WAV'
    expect(error?.message).toBe(`test: Ogg is read through ffmpeg, which is not installed; ${cure}`)
    expect(error?.exitCode).toBe(69)
  })
})
