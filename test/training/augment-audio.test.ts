import { describe, expect, it } from 'vitest'
import { gain, join, mask, mix, noise, power, speed } from '../../src/training/augment-audio.js'
import { Random } from '../../src/training/random.js'

const sine = (length: number, cycles: number) =>
  Float32Array.from({ length }, (_, i) => Math.sin(2 * Math.PI * cycles * i))
const difference = (a: Float32Array, b: Float32Array) => a.map((x, i) => x - b[i])
/** Away from the ends, where a filter sees the silence outside. */
const inner = (x: Float32Array) => x.subarray(40, -40)
const decibels = (ratio: number) => 10 * Math.log10(ratio)

describe('speed', () => {
  it('makes a sine that many times as fast and keeps its level', () => {
    for (const factor of [0.85, 0.9, 1.1, 1.25]) {
      for (const cycles of [0.005, 0.1, 0.3 / Math.max(1, factor)]) {
        const fast = speed(sine(4000, cycles), factor)
        expect(fast.length).toBe(Math.ceil(4000 / factor))
        const error = inner(difference(fast, sine(fast.length, cycles * factor)))
        expect(decibels(power(error) / 0.5), `${factor} ${cycles}`).toBeLessThan(-60)
      }
    }
  })

  it('lets nothing fold back that the faster recording cannot carry', () => {
    // 0.49 cycles a sample, 1.25 times as fast, would fold to 0.3875.
    expect(decibels(power(inner(speed(sine(4000, 0.49), 1.25))) / 0.5)).toBeLessThan(-50)
  })

  it('does nothing at 1, and takes short recordings', () => {
    const samples = sine(100, 0.01)
    expect(speed(samples, 1)).toEqual(samples)
    expect(speed(samples, 1)).not.toBe(samples)
    expect(speed(new Float32Array(0), 1.1).length).toBe(0)
    expect(speed(Float32Array.of(1), 0.5).length).toBe(2)
    expect(() => speed(samples, 0)).toThrow(/expected a number above 0/)
  })
})

describe('level and noise', () => {
  it('gain is in decibels', () => {
    const samples = sine(1000, 0.01)
    expect(decibels(power(gain(samples, -20)) / power(samples))).toBeCloseTo(-20, 5)
    expect(gain(samples, 0)).toEqual(samples)
  })

  it('noise has power 1, is white or brown, and comes from the seed', () => {
    for (const colour of ['white', 'brown'] as const) {
      const x = noise(100_000, new Random(1), colour)
      expect(power(x)).toBeGreaterThan(0.9)
      expect(power(x)).toBeLessThan(1.1)
      expect(noise(100, new Random(1), colour)).toEqual(x.slice(0, 100))
      expect(noise(100, new Random(2), colour)).not.toEqual(x.slice(0, 100))
      const neighbours = x.reduce((sum, y, i) => sum + y * (x[i + 1] ?? 0), 0) / x.length
      expect(neighbours).toBeCloseTo(colour === 'white' ? 0 : 0.98, 1)
    }
  })

  it('is mixed in at the ratio asked for', () => {
    const samples = sine(4000, 0.02)
    const other = noise(5000, new Random(3), 'white')
    for (const snr of [-5, 0, 20]) {
      const added = difference(mix(samples, other, snr), samples)
      expect(decibels(power(samples) / power(added))).toBeCloseTo(snr, 3)
    }
    expect(mix(samples, new Float32Array(4000), 10)).toEqual(samples)
    expect(mix(new Float32Array(10), other, 10)).toEqual(new Float32Array(10))
    expect(() => mix(samples, other.subarray(0, 10), 0)).toThrow(/10 samples of noise for 4000/)
  })
})

describe('masks', () => {
  const columns = 8
  const features = new Float32Array(50 * columns).fill(1)
  const masks = { rows: { count: 2, most: 30 }, columns: { count: 1, most: 3 } }

  it('are whole rows and columns, of at most the widths asked for', () => {
    const widths = new Set<number>()
    for (let seed = 0; seed < 200; seed++) {
      const out = mask(features, columns, masks, new Random(seed), -2)
      const rows = Array.from({ length: 50 }, (_, t) => out.subarray(t * columns, (t + 1) * columns))
      const masked = rows.map((row) => row.every((x) => x === -2))
      const columnsMasked = Array.from({ length: columns }, (_, c) => rows.every((row) => row[c] === -2))
      // Whatever is masked is so by its row or its column.
      const asMarked = rows.every((row, t) => row.every((x, c) => x === (masked[t] || columnsMasked[c] ? -2 : 1)))
      expect(asMarked).toBe(true)
      // Two masks of at most a fifth of the rows each.
      expect(masked.filter(Boolean).length).toBeLessThanOrEqual(20)
      const width = columnsMasked.filter(Boolean).length
      expect(width).toBeLessThanOrEqual(3)
      widths.add(width)
    }
    expect([...widths].sort()).toEqual([0, 1, 2, 3])
    expect(features.every((x) => x === 1)).toBe(true)
  })

  it('come from the seed, and take what is too short to mask', () => {
    const drawn = (seed: number) => mask(features, columns, masks, new Random(seed), 0)
    expect(drawn(1)).toEqual(drawn(1))
    expect(drawn(1)).not.toEqual(drawn(2))
    const short = new Float32Array(4 * columns).fill(1)
    expect(mask(short, columns, { ...masks, columns: { count: 0, most: 0 } }, new Random(1), 0)).toEqual(short)
    expect(mask(new Float32Array(0), columns, masks, new Random(1), 0).length).toBe(0)
  })
})

describe('joined recordings', () => {
  const parts = [
    { samples: new Float32Array(100).fill(1), text: 'two' },
    { samples: new Float32Array(200).fill(2), text: '' },
    { samples: new Float32Array(300).fill(3), text: 'six' },
  ]

  it('come in order between silences of the lengths asked for', () => {
    const lengths = new Set<number>()
    for (let seed = 0; seed < 100; seed++) {
      const { samples, text } = join(parts, { around: [10, 20], between: [5, 7] }, new Random(seed))
      expect(text).toBe('two six')
      const runs: { sound: boolean; length: number }[] = []
      for (const x of samples) {
        if (runs.at(-1)?.sound === (x !== 0)) runs.at(-1)!.length++
        else runs.push({ sound: x !== 0, length: 1 })
      }
      expect(runs.map(({ sound }) => sound)).toEqual([false, true, false, true, false, true, false])
      expect([1, 3, 5].map((i) => runs[i].length)).toEqual([100, 200, 300])
      for (const i of [0, 6]) expect(runs[i].length >= 10 && runs[i].length <= 20).toBe(true)
      for (const i of [2, 4]) {
        expect(runs[i].length >= 5 && runs[i].length <= 7).toBe(true)
        lengths.add(runs[i].length)
      }
    }
    expect([...lengths].sort()).toEqual([5, 6, 7])
  })

  it('are as they were, but for their edges, and come from the seed', () => {
    const gaps: { around: [number, number]; between: [number, number] } = { around: [0, 0], between: [0, 50] }
    const { samples } = join(parts.slice(0, 1), gaps, new Random(1))
    expect(samples.length).toBe(100)
    expect(samples.subarray(31, 69).every((x) => x === 1)).toBe(true)
    expect(samples[0]).toBeCloseTo(1 / 32, 6)
    expect(samples[99]).toBeCloseTo(1 / 32, 6)
    expect(join(parts, gaps, new Random(5))).toEqual(join(parts, gaps, new Random(5)))
    expect(parts[0].samples.every((x) => x === 1)).toBe(true)
  })
})
