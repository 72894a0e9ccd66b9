import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { damage, damaged, readOrRefused, runs } from '../../fuzz.js'
import { chunk, decode, fmt, int16, riff, specimen } from './helpers.js'

/** One of each coding, cut so short that the header is most of it. */
const files = [
  riff([chunk('fmt ', fmt({ channels: 2 })), chunk('LIST', Buffer.from('INFOabcd')), chunk('data', int16([1, -2, 3, -4]))]),
  riff([chunk('fmt ', fmt({ tag: 3, bits: 32 })), chunk('fact', Buffer.alloc(4)), chunk('data', Buffer.alloc(64))]),
  ...['derived_jfk_8k_mulaw.wav', 'derived_jfk_msadpcm.wav', 'wavefile_4-bit-imaadpcm-8kHz-noBext-mono-reaper.wav',
    'scipy_test-8000Hz-le-3ch-5S-24bit-rf64.wav', 'hound_waveformatextensible-24bit-192kHz-mono.wav',
  ].map((name) => specimen(name).subarray(0, 2000)),
] // biome-ignore format: a list

/** What begins otherwise than RIFF...WAVE goes to ffmpeg. */
const magic = 12

test('a damaged WAV header gives samples or one line, in bounded time and memory', async () => {
  const one = fc
    .nat(files.length - 1)
    .chain((i) => fc.tuple(fc.constant(files[i]), damage(Math.min(160, files[i].length - magic))))
  const rate = fc.constantFrom(undefined, 8000, 16_000)
  await fc.assert(
    fc.asyncProperty(one, rate, async ([file, how], rate) => {
      const bytes = Buffer.concat([file.subarray(0, magic), damaged(file.subarray(magic), how)])
      await readOrRefused(65, async () => {
        const { samples, error } = await decode([bytes], { rate })
        expect(samples.every((x) => Number.isFinite(x))).toBe(true)
        if (error) throw error
      })
    }),
    runs(800),
  )
})
