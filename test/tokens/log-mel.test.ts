import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { Random } from '../../src/runtime/random.js'
import type { LogMelSpec } from '../../src/spec.js'
import { checked } from '../../src/text/schema.js'
import { frameSeconds, LogMel } from '../../src/tokens/log-mel.js'
import { logMelSchema } from '../../src/tokens/log-mel-schema.js'
import { hzToMel, melBands, melToHz } from '../../src/tokens/mel.js'

const speech: LogMelSpec = {
  sample_rate: 8000,
  n_fft: 256,
  window: 200,
  hop: 80,
  n_mels: 24,
  f_min: 60,
  f_max: 3900,
  level: { memory: 10, lookahead: 1, quietest: -70, range: 60, equalise: 20 },
}
const sounds: LogMelSpec = { ...speech, level: { memory: 10, lookahead: 1, quietest: -70, range: 60 } }

function features(spec: LogMelSpec, samples: Float32Array, cuts: number[] = []): Float32Array {
  const logMel = new LogMel(spec)
  const parts: Float32Array[] = []
  let from = 0
  for (const cut of [...cuts, samples.length]) {
    parts.push(logMel.push(samples.subarray(from, cut)).slice())
    from = cut
  }
  parts.push(logMel.end())
  return joined(parts)
}

function joined(parts: Float32Array[]): Float32Array {
  const out = new Float32Array(parts.reduce((n, part) => n + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

const largest = (a: Float32Array, b: Float32Array) => {
  expect(a.length).toBe(b.length)
  return a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0)
}

/** Seconds of something like a voice: harmonics of a wandering pitch under syllables, with a little noise. */
function voice(seconds: number, seed: number, noise = 1e-3): Float32Array {
  const random = new Random(seed)
  let phase = 0
  return Float32Array.from({ length: Math.round(seconds * 8000) }, (_, i) => {
    const t = i / 8000
    phase += (2 * Math.PI * (120 + 30 * Math.sin(3 * t))) / 8000
    const syllable = Math.max(0, Math.sin(2 * Math.PI * 4 * t + seed)) ** 2
    let x = 0
    for (let k = 1; k < 20; k++) x += Math.sin(k * phase) / (1 + Math.abs(k - 5 - 4 * Math.sin(2 * t)))
    return 0.03 * syllable * x + noise * random.normal()
  })
}

describe('log-mel features', () => {
  const specimen = JSON.parse(readFileSync(new URL('../specimens/audio/log-mel.json', import.meta.url), 'utf8')) as {
    cases: { spec: LogMelSpec; frames: number; rows: Record<string, number[]> }[]
  }

  /** The formula of the specimen. */
  let seed = 12345
  const signal = Float32Array.from({ length: 4321 }, (_, i) => {
    seed = (Math.imul(1664525, seed) + 1013904223) >>> 0
    const [t, u] = [i / 8000, seed / 2 ** 32 - 0.5]
    if (t < 0.1) return 0
    if (t < 0.2) return 0.001 * u
    return 0.3 * Math.sin(2 * Math.PI * (200 * t + 700 * t * t)) + 0.05 * Math.sin(2 * Math.PI * 1234.5 * t) + 0.02 * u
  })

  it.each(specimen.cases)('are those computed independently ($spec.n_mels bands)', ({ spec, frames, rows }) => {
    const got = features(spec, signal)
    expect(got.length).toBe(frames * spec.n_mels)
    for (const [j, row] of Object.entries(rows))
      row.forEach((x, m) => {
        expect(got[Number(j) * spec.n_mels + m], `frame ${j}, band ${m}`).toBeCloseTo(x, 5)
      })
  })

  it('are the same bits however the recording is cut', () => {
    const samples = voice(0.7, 1)
    for (const spec of [speech, sounds, { ...speech, preemphasis: 0.97, hop: 77, window: 256 }]) {
      const whole = features(spec, samples)
      const random = new Random(2)
      const some = Array.from({ length: 20 }, () => random.int(samples.length)).sort((a, b) => a - b)
      const each = Array.from({ length: 500 }, (_, i) => i)
      for (const cuts of [some, each, [0, 0, 5], [samples.length]])
        expect(Buffer.from(features(spec, samples, cuts).buffer).equals(Buffer.from(whole.buffer))).toBe(true)
    }
  })

  it('are one frame for each hop begun, and say what it spans', () => {
    for (const [samples, frames] of [
      [0, 0],
      [1, 1],
      [80, 1],
      [81, 2],
      [800, 10],
      [801, 11],
    ])
      expect(features(speech, new Float32Array(samples)).length).toBe(frames * 24)
    expect(frameSeconds(speech)).toBe(0.01)
  })

  it('show a click in the frame it falls into', () => {
    const samples = new Float32Array(1600)
    samples[80 * 7 + 40] = 1
    const got = features(sounds, samples)
    const energy = Array.from({ length: 20 }, (_, j) => got.subarray(j * 24, j * 24 + 24).reduce((a, b) => a + b))
    expect(energy.indexOf(Math.max(...energy))).toBe(7)
  })

  it('read a sine of amplitude 1 as about 0 dB in the band of its frequency', () => {
    const flat = { ...sounds, level: { ...sounds.level, quietest: 0, range: 200 } }
    const samples = Float32Array.from({ length: 8000 }, (_, i) => Math.sin((2 * Math.PI * 1000 * i) / 8000))
    const row = features(flat, samples).subarray(50 * 24, 51 * 24)
    const band = row.indexOf(Math.max(...row))
    const [left, right] = [band, band + 2].map((i) => melToHz(hzToMel(60) + ((hzToMel(3900) - hzToMel(60)) * i) / 25))
    expect(left).toBeLessThan(1000)
    expect(right).toBeGreaterThan(1000)
    expect(Math.abs((row[band] - 1) * 20)).toBeLessThan(3)
  })

  it('do not change with the gain, 20 dB up or down', () => {
    const samples = voice(3, 3)
    for (const spec of [speech, sounds]) {
      const plain = features(spec, samples)
      for (const gain of [0.1, 10]) {
        const other = features(
          spec,
          samples.map((x) => gain * x),
        )
        expect(largest(plain, other)).toBeLessThan(1e-4)
      }
    }
  })

  it('do not change with the colour of a microphone where bands are equalised', () => {
    const samples = voice(3, 4)
    const tilted = samples.map((x, i) => 2 * x - 1.2 * (samples[i - 1] ?? 0))
    const open: LogMelSpec = { ...sounds, level: { ...sounds.level, range: 100 } }
    const change = (spec: LogMelSpec) => {
      const [a, b] = [features(spec, samples), features(spec, tilted)]
      return (20 * a.reduce((sum, x, i) => sum + Math.abs(x - b[i]), 0)) / a.length
    }
    // Decibels. What is left is the slope of the filter within a band.
    expect(change(open)).toBeGreaterThan(3)
    expect(change({ ...open, level: { ...open.level, equalise: 80 } })).toBeLessThan(0.5)
  })

  it('hardly change with half a second of silence around, digital or 40 dB down', () => {
    const samples = voice(2, 5, 0)
    const frames = samples.length / 80
    for (const spec of [speech, sounds]) {
      const plain = features(spec, samples)
      for (const noise of [0, 3e-4]) {
        const random = new Random(6)
        const around = joined([new Float32Array(4000), samples, new Float32Array(4000)]).map(
          (x) => x + noise * random.normal(),
        )
        const alone = around.subarray(4000, 4000 + samples.length)
        const inside = features(spec, around).subarray(50 * 24, (50 + frames) * 24)
        // Inside the recording, away from its edges, where windows see the silence; dB.
        const difference = largest(
          inside.subarray(3 * 24, (frames - 3) * 24),
          (noise === 0 ? plain : features(spec, alone)).subarray(3 * 24, (frames - 3) * 24),
        )
        expect(20 * difference).toBeLessThan(noise === 0 ? 1e-3 : 1.5)
      }
    }
  })

  it('stay at the bottom in silence, for as long as it lasts, and low in faint noise', () => {
    const random = new Random(7)
    const quiet = { ...sounds, level: { ...sounds.level, memory: 0.01 } }
    const samples = joined([voice(1, 8), new Float32Array(80_000), voice(1, 8)])
    const got = features(quiet, samples)
    expect(got.every(Number.isFinite)).toBe(true)
    expect(got[600 * 24]).toBe(-2)
    expect(features(sounds, new Float32Array(8000)).every((x) => x === -2)).toBe(true)
    const hiss = Float32Array.from({ length: 8000 }, () => 1e-4 * random.normal())
    expect(Math.max(...features(sounds, hiss))).toBeLessThan(0.5)
  })

  it('come with a clear error for a spec that contradicts itself', () => {
    const bad = (change: Partial<LogMelSpec>) => () =>
      checked(logMelSchema, { ...speech, ...change }, 'log_mel.', (line) => new Error(line))
    expect(bad({ n_fft: 300 })).toThrow(/power of two/)
    expect(bad({ n_fft: 128 })).toThrow(/window is 200, expected at most 128, n_fft/)
    expect(bad({ hop: 300 })).toThrow(/gaps/)
    expect(bad({ window: 1, hop: 1 })).toThrow(/window is 1, expected a whole number from 2 to 65536/)
    expect(bad({ f_max: 5000 })).toThrow(/4000/)
    expect(bad({ n_mels: 0 })).toThrow(/n_mels/)
    expect(bad({ n_mels: 200 })).toThrow(/meets no bin/)
    // A multiple of 2^32 and a half of it: a power of two in 32 bits.
    expect(bad({ n_fft: 6_442_450_944 })).toThrow(/a whole number from 2 to 65536/)
    expect(bad({ tail: 1e9 })).toThrow(/tail is 1000000000, expected a number from 0 to 60/)
    expect(bad({ level: { ...speech.level, lookahead: 1e9 } })).toThrow(/level.lookahead/)
  })
})

describe('mel bands', () => {
  it('overlap so that between the outer tops every bin counts once', () => {
    const bands = melBands({ ...speech, n_fft: 1024 })
    const sum = new Float64Array(513)
    for (const { first, weights } of bands) for (const [i, w] of weights.entries()) sum[first + i] += w
    const hz = (bin: number) => (bin * 8000) / 1024
    const width = (hzToMel(3900) - hzToMel(60)) / 25
    for (let bin = 0; bin <= 512; bin++) {
      if (hz(bin) <= 60 || hz(bin) >= 3900) expect(sum[bin]).toBe(0)
      else if (hzToMel(hz(bin)) >= hzToMel(60) + width && hzToMel(hz(bin)) <= hzToMel(3900) - width)
        expect(sum[bin]).toBeCloseTo(1, 12)
    }
    expect(melToHz(hzToMel(1234))).toBeCloseTo(1234, 9)
    expect(hzToMel(1000)).toBeCloseTo(1000, 0)
  })
})
