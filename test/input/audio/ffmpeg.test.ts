import { describe, expect, test } from 'vitest'
import { UserError } from '../../../src/errors.js'
import { readAudio } from '../../../src/input/audio/read.js'
import { standIns } from './ffmpeg-helpers.js'
import { hasFfmpeg } from './has-ffmpeg.js'
import { chunk, decode, fmt, folder, int16, join, riff, rows, specimen } from './helpers.js'

const stand = standIns()
const { install } = stand

const read = async (file: string) => {
  const pieces: Float32Array[] = []
  for await (const piece of await readAudio(file)) pieces.push(piece.slice())
  return join(pieces)
}

const aiff = `${folder}goaudio_bloop.aif`

test('without ffmpeg: 69, with the format and what to do', async () => {
  stand.remove()
  const error = await read(aiff).catch((error) => error)
  expect(error).toBeInstanceOf(UserError)
  expect(error.message).toBe(
    `${aiff}: AIFF is read through ffmpeg, which is not installed; install it, or convert the file to WAV`,
  )
  expect(error.exitCode).toBe(69)
})

describe('a program in its place', () => {
  const wav = riff([chunk('fmt ', fmt({})), chunk('data', int16([16384, -16384]), 0xffffffff)], 'RIFF', 0xffffffff)
  const give = `process.stdout.write(Buffer.from('${wav.toString('base64')}', 'base64'))`

  test('is given a file by its path, and what it writes is read as WAV', async () => {
    install(`const at = process.argv.indexOf('-i'); if (process.argv[at + 1] === 'file:${aiff}') ${give}`)
    expect(await read(aiff)).toEqual(Float32Array.of(0.5, -0.5))
  })

  test('is given a stream byte by byte', async () => {
    const bytes = specimen('goaudio_bloop.aif')
    install(`
      const given = []
      process.stdin.on('data', (block) => given.push(block))
      process.stdin.on('end', () => {
        const whole = Buffer.concat(given)
        if (whole.length === ${bytes.length} && whole.subarray(-4).toString('hex') === '${bytes.subarray(-4).toString('hex')}') ${give}
      })`)
    const { samples, error } = await decode([bytes.subarray(0, 5), bytes.subarray(5, 12_000), bytes.subarray(12_000)])
    expect(error).toBeUndefined()
    expect(samples).toEqual(Float32Array.of(0.5, -0.5))
  })

  test('may stop taking the stream early', async () => {
    install(`${give}; process.stdin.destroy()`)
    const blocks = [specimen('goaudio_bloop.aif'), ...Array.from({ length: 50 }, () => new Uint8Array(1 << 18))]
    expect((await decode(blocks)).samples).toEqual(Float32Array.of(0.5, -0.5))
  })

  test('that fails is an error with its last line, after what it gave', async () => {
    install(`process.stdout.write(Buffer.from('${wav.toString('base64')}', 'base64'), () => {
      console.error('first\\nInvalid data found'); process.exitCode = 183 })`)
    const { samples, error } = await decode([specimen('goaudio_bloop.aif')])
    expect(samples).toEqual(Float32Array.of(0.5, -0.5))
    expect(error?.message).toBe('test: AIFF that ffmpeg cannot read (Invalid data found)')
    expect(error?.exitCode).toBe(65)
  })

  test('that passes over an error is a warning with its last line', async () => {
    install(`process.stdout.write(Buffer.from('${wav.toString('base64')}', 'base64'), () => {
      console.error('invalid residual\\nError while decoding') })`)
    const { samples, error, warnings } = await decode([specimen('goaudio_bloop.aif')])
    expect(samples).toEqual(Float32Array.of(0.5, -0.5))
    expect(error).toBeUndefined()
    expect(warnings).toEqual(['test: damaged or cut off: ffmpeg reads what it can (Error while decoding)'])
  })

  test('that fails at once is an error with its last line too', async () => {
    install(`console.error('Invalid data found'); process.exitCode = 1`)
    const { error } = await decode([specimen('goaudio_bloop.aif')])
    expect(error?.message).toBe('test: AIFF that ffmpeg cannot read (Invalid data found)')
  })
})

// Only where ffmpeg is installed; the tests above need none.
describe.skipIf(!hasFfmpeg)('ffmpeg itself', () => {
  test.each(rows.filter((row) => row.needs === 'ffmpeg'))('$file', async (row) => {
    const { audio, samples, error } = await decode([specimen(row.file)])
    expect(error).toBeUndefined()
    expect(audio?.source).toEqual({ channels: Number(row.channels), rate: Number(row.rate), coding: row.coding })
    expect(samples).toHaveLength(Number(row.samples))
    const rms = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length)
    expect(Math.abs(rms / Number(row.rms) - 1)).toBeLessThan(1e-6)
    expect(samples[samples.length >> 1]).toBeCloseTo(Number(row.middle), 7)
  })

  test('a file that is cut off is read with a warning', async () => {
    const whole = specimen('goaudio_bloop.aif')
    const { samples, error, warnings } = await decode([whole.subarray(0, whole.length - 999)])
    expect(error).toBeUndefined()
    expect(samples.length).toBeGreaterThan(0)
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toMatch(/^test: damaged or cut off: ffmpeg reads what it can \(.+\)$/)
  })
})

test('a missing file, and a folder', async () => {
  for (const [file, message] of [
    ['no-such-file.wav', 'no such file'],
    [folder, 'a folder, expected a file'],
  ]) {
    const error = await read(file).catch((error) => error)
    expect([error.message, error.exitCode]).toEqual([`${file}: ${message}`, 66])
  }
})
