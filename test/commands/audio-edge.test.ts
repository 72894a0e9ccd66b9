import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { packageRoot } from '../../src/runtime/package-root.js'
import { chunk, fmt, riff } from '../input/audio/helpers.js'
import { command } from '../run-command.js'
import { temporaryFolder } from '../shell/run.js'

const folder = temporaryFolder()
const path = (name: string) => join(folder, name)
const digits = readFileSync(join(packageRoot, 'fixtures/digits.wav')).subarray(44)
const rate = 16_000
const samples = Array.from({ length: digits.length / 2 }, (_, i) => digits.readInt16LE(2 * i) / 32768)
const words = 'two six four eight\n'

/** A file of 32-bit floats. */
function write(name: string, frames: number[], channels = 1, samplesPerSecond = rate): string {
  const format = chunk('fmt ', fmt({ tag: 3, bits: 32, channels, rate: samplesPerSecond }))
  writeFileSync(path(name), riff([format, chunk('data', Buffer.from(Float32Array.from(frames).buffer))]))
  return path(name)
}
const transcribe = (...args: string[]) => command(['transcribe', '-m', 'digits', '--no-progress', ...args])

beforeAll(async () => {
  expect((await transcribe(write('plain.wav', samples))).stdout.toString()).toBe(words)
})

test('speech after a spike is what it is without', async () => {
  const second = Math.floor(0.2 * rate)
  const spikes = samples.with(second, 3e38).with(second + 400, 10 ** (85 / 20))
  // The same again, behind it.
  const file = write('spikes.wav', [...spikes, ...samples])
  const twice = write('twice.wav', [...samples, ...samples])
  const { code, stdout, stderr } = await transcribe(file)
  expect(stdout.toString()).toBe((await transcribe(twice)).stdout.toString())
  expect(stdout.toString()).toContain(words.trim())
  expect(stderr).toContain('2 samples are no finite number or beyond +40 dB, the first at 0.200 s: read as 0\n')
  expect(stderr.trim().split('\n')).toHaveLength(2) // and the summary
  expect(code).toBe(0)
})

test('a channel of NaN does not empty the mean', async () => {
  const frames = samples.flatMap((sample) => [Number.NaN, sample])
  const { code, stdout, stderr } = await transcribe(write('nan.wav', frames, 2))
  expect([stdout.toString(), code]).toEqual([words, 0])
  expect(stderr).toMatch(/ samples are no finite number or beyond \+40 dB, the first at 0\.000 s: left out of the mean/)
})

test('channels that cancel each other are said, with the cure', async () => {
  const frames = samples.flatMap((sample) => [sample, -sample])
  const file = write('against.wav', frames, 2)
  const { code, stderr } = await transcribe(file)
  expect(stderr).toContain('the channels cancel each other from 0.000 s on')
  expect(stderr).toContain('--channel 1')
  expect(code).toBe(0)
  const { stdout } = await transcribe('--channel', '1', file)
  expect(stdout.toString()).toBe(words)
})

test('an odd rate gives the same words, a rate of no sound is an error', async () => {
  // Every third sample of 48,003 a second, held three times as long.
  const held = samples.flatMap((sample) => [sample, sample, sample])
  expect((await transcribe(write('odd.wav', held, 1, 48_001))).stdout.toString()).toBe(words)
  const { code, stderr } = await transcribe(write('slow.wav', samples, 1, 20))
  expect(stderr).toContain('20 samples a second, expected at least 1000: less holds no sound')
  expect(code).toBe(65)
})
