import { expect, test } from 'vitest'
import { Resampler, resample } from '../../../src/input/audio/resample.js'
import { randomFrom } from '../dna/helpers.js'
import { cutUp, decode, join, sameBytes, specimen } from './helpers.js'

function convert(samples: Float32Array, from: number, to: number): Float32Array {
  const resampler = new Resampler(from, to)
  return join([resampler.push(samples).slice(), resampler.end()])
}

const sine = (frequency: number, rate: number, length: number) =>
  Float32Array.from({ length }, (_, i) => Math.sin((2 * Math.PI * frequency * i) / rate))

const power = (samples: Float32Array) => samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length
const decibel = (ratio: number) => 10 * Math.log10(ratio)

/** Signal to everything else, without the edges, where the sine starts out of nothing. */
function signalToNoise(frequency: number, from: number, to: number): number {
  const out = convert(sine(frequency, from, from), from, to)
  const edge = Math.ceil((100 * to) / Math.min(from, to))
  const middle = out.subarray(edge, out.length - edge)
  const ideal = sine(frequency, to, out.length).subarray(edge, out.length - edge)
  const noise = middle.map((sample, i) => sample - ideal[i])
  return decibel(power(ideal) / power(noise))
}

test.each([
  [44100, 16000, 1000],
  [44100, 16000, 5000],
  [44100, 16000, 7000],
  [48000, 16000, 1000],
  [22050, 16000, 1000],
  [11025, 16000, 1000],
  [8000, 16000, 1000],
  [8000, 16000, 3400],
  [16000, 44100, 1000],
  // Rates without a common factor: too many phases for a table of their own.
  [192001, 16000, 500],
  [192001, 16000, 6800],
  [44101, 16000, 3000],
  [44101, 16000, 6800],
  [7919, 16000, 500],
  [7919, 16000, 3300],
  [1001, 16000, 400],
  [16000, 192001, 3000],
])('%i to %i Hz: a sine of %i Hz, in time and above 100 dB', (from, to, frequency) => {
  expect(signalToNoise(frequency, from, to)).toBeGreaterThan(100)
})

test.each([8000, 8050, 8500, 9000, 12345, 15999, 17000, 20000, 21900])(
  '44.1 to 16 kHz: %i Hz cannot be held, and leaves less than -90 dB',
  (frequency) => {
    const out = convert(sine(frequency + 0.5, 44100, 44100), 44100, 16000)
    expect(decibel(power(out.subarray(200, -200)) / 0.5)).toBeLessThan(-90)
  },
)

test('8 to 16 kHz: no images above 4 kHz', () => {
  const out = convert(sine(1000, 8000, 8000), 8000, 16000).subarray(1000, 1000 + 1600)
  // The image of 1 kHz stands at 7 kHz: measured by one bin of a Fourier sum over whole periods.
  const bin = (frequency: number) => {
    const [re, im] = out.reduce(
      ([a, b], sample, i) => {
        const angle = (2 * Math.PI * frequency * i) / 16000
        return [a + sample * Math.cos(angle), b + sample * Math.sin(angle)]
      },
      [0, 0],
    )
    return Math.hypot(re, im) / (out.length / 2)
  }
  expect(bin(1000)).toBeCloseTo(1, 4)
  expect(2 * decibel(bin(7000))).toBeLessThan(-100)
})

test('a constant stays that constant, in length ceil(n * to / from)', () => {
  for (const [from, to, n] of [
    [44100, 16000, 10_000],
    [8000, 16000, 3001],
    [16000, 11025, 4321],
    [12345, 16000, 5000],
  ]) {
    const out = convert(new Float32Array(n).fill(0.5), from, to)
    expect(out).toHaveLength(Math.ceil((n * to) / from))
    const edge = Math.ceil((100 * to) / Math.min(from, to))
    expect(Math.max(...out.subarray(edge, -edge).map((sample) => Math.abs(sample - 0.5)))).toBeLessThan(1e-7)
  }
})

test.each([0, 1, 2, 3, 440, 441, 442])('%i samples at 44.1 kHz: right length, nothing lost', (n) => {
  const out = convert(new Float32Array(n).fill(1), 44100, 16000)
  expect(out).toHaveLength(Math.ceil((n * 160) / 441))
})

test('no delay: a click stays where it is', () => {
  const samples = new Float32Array(44100)
  for (const [at, place] of [
    [0, 0],
    [441, 160],
    [22050, 8000],
  ]) {
    const out = convert(samples.fill(0).fill(1, at, at + 1), 44100, 16000)
    expect(out.indexOf(Math.max(...out))).toBe(place)
    for (let i = 1; i < Math.min(place, 50); i++) expect(out[place - i]).toBeCloseTo(out[place + i], 7)
  }
})

test.each([
  [44100, 16000],
  [48000, 16000],
  [8000, 16000],
  [11025, 16000],
  [7919, 16001],
  [192001, 16000],
  [1009, 16000],
])('%i to %i Hz: the same bytes however the input is cut', async (from, to) => {
  const random = randomFrom(from)
  const samples = Float32Array.from({ length: 6000 }, () => 2 * random() - 1)
  const whole = convert(samples, from, to)
  for (const pieces of [cutUp(samples, random), cutUp(samples, random), cutUp(samples, () => 0)]) {
    const source = (async function* () {
      yield* pieces
    })()
    const out: Float32Array[] = []
    for await (const piece of resample(source, from, to)) out.push(piece.slice())
    expect(sameBytes(join(out), whole)).toBe(true)
  }
})

test.each([
  [20, 16000],
  [1000, 16000],
  [16000, 192001],
  [192001, 16000],
])('%i to %i Hz: pieces are bounded, however long the input is', async (from, to) => {
  const source = (async function* () {
    yield new Float32Array(1 << 15).fill(0.5)
  })()
  let [length, longest] = [0, 0]
  for await (const piece of resample(source, from, to)) {
    length += piece.length
    longest = Math.max(longest, piece.length)
  }
  expect(length).toBe(Math.ceil(((1 << 15) * to) / from))
  expect(longest).toBeLessThan(1 << 17)
})

test('192,001 Hz in much less time than it takes to say', () => {
  const resampler = new Resampler(192_001, 16_000)
  const second = new Float32Array(192_001).fill(0.5)
  resampler.push(second)
  const start = performance.now()
  for (let i = 0; i < 5; i++) resampler.push(second)
  // 85 times as fast on an idle machine; half of real time before there was a table.
  expect(performance.now() - start).toBeLessThan(5000 / 8)
})

test('rates that are no whole numbers from 1 are refused', () => {
  for (const rate of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => new Resampler(rate, 16000)).toThrow(RangeError)
  }
})

test('the same speech at every rate becomes nearly the same samples', async () => {
  const reference = (await decode([specimen('derived_jfk_16k_s24.wav')])).samples
  for (const name of ['derived_jfk_44k1_stereo.wav', 'derived_jfk_48k_mono.wav', 'derived_jfk_11025.wav']) {
    const { samples } = await decode([specimen(name)], { rate: 16000 })
    expect(samples).toHaveLength(reference.length)
    const noise = samples.map((sample, i) => sample - reference[i])
    expect(decibel(power(reference) / power(noise))).toBeGreaterThan(20)
  }
})
