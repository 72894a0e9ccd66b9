import { readdirSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { decode, folder, rows, specimen } from './helpers.js'

const path = process.env.PATH
beforeAll(() => {
  process.env.PATH = '' // no ffmpeg: what needs it is in ffmpeg.test.ts
})
afterAll(() => {
  process.env.PATH = path
})

test('the table lists every specimen', () => {
  const about = ['expected.tsv', 'README.md', 'MANIFEST.tsv', '.gitattributes']
  const files = readdirSync(folder).filter((file) => !about.includes(file))
  expect(rows.map((row) => row.file).sort()).toEqual(files.map((file) => file.replace(/\.gz$/, '')).sort())
  expect(rows).toHaveLength(111)
})

test.each(rows)('$file', async (row) => {
  const { audio, samples, warnings, error } = await decode([specimen(row.file)], {}, row.file)
  if (row.needs === 'ffmpeg') {
    expect(error?.message).toMatch(/ is read through ffmpeg, which is not installed; /)
    expect(error?.exitCode).toBe(69)
    return
  }
  expect(error?.exitCode ?? 0).toBe(Number(row.exit))
  const message = error ? error.message : warnings.join('\n')
  expect(message).toBe(row.message === '' ? '' : `${row.file}: ${row.message}`)
  if (error) return

  expect(audio?.rate).toBe(Number(row.rate))
  expect(audio?.source).toEqual({ channels: Number(row.channels), rate: Number(row.rate), coding: row.coding })
  expect(samples).toHaveLength(Number(row.samples))
  if (samples.length === 0) return
  const rms = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length)
  const figures = [samples[0], samples[samples.length >> 1], samples.at(-1)!, rms]
  const expected = [row.first, row.middle, row.last, row.rms].map(Number)
  // float32 samples, a double sum; decoders of lossy formats round in ways of their own.
  const tolerance = /\.(mp3|ogg|opus)$/.test(row.file) ? 1e-4 : 6e-8
  figures.forEach((figure, i) => {
    expect(Math.abs(figure - expected[i])).toBeLessThanOrEqual(tolerance * Math.max(1e-2, Math.abs(expected[i])))
  })
})
