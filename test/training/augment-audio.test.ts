import { describe, expect, it } from 'vitest'
import { Random } from '../../src/runtime/random.js'
import { maskFeatures, noise, speed } from '../../src/training/audio/augment.js'

const sine = (length: number, cycles: number) =>
  Float32Array.from({ length }, (_, i) => Math.sin(2 * Math.PI * cycles * i))
const difference = (a: Float32Array, b: Float32Array) => a.map((x, i) => x - b[i])
/** Away from the ends, where a filter sees the silence outside. */
const inner = (x: Float32Array) => x.subarray(40, -40)
const power = (x: Float32Array) => x.reduce((sum, y) => sum + y * y, 0) / x.length
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

describe('noise', () => {
  it('has power 1, is white or brown, and comes from the seed', () => {
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
})

describe('masks', () => {
  const columns = 8
  /** 2 and 0 in turn: their mean, 1, is what a mask leaves. */
  const alternating = (rows: number) => Float32Array.from({ length: rows * columns }, (_, i) => 2 * (i % 2))
  const masks = { rows: { count: 2, most: 30 }, columns: { count: 1, most: 3 } }

  it('are whole rows and columns, of at most the widths asked for', () => {
    const widths = new Set<number>()
    for (let seed = 0; seed < 200; seed++) {
      const out = maskFeatures(alternating(50), columns, masks, new Random(seed))
      const rows = Array.from({ length: 50 }, (_, t) => out.subarray(t * columns, (t + 1) * columns))
      const masked = rows.map((row) => row.every((x) => x === 1))
      const columnsMasked = Array.from({ length: columns }, (_, c) => rows.every((row) => row[c] === 1))
      // Whatever is masked is so by its row or its column.
      const asMarked = rows.every((row, t) =>
        row.every((x, c) => x === (masked[t] || columnsMasked[c] ? 1 : 2 * (c % 2))),
      )
      expect(asMarked).toBe(true)
      // Two masks of at most a fifth of the rows each.
      expect(masked.filter(Boolean).length).toBeLessThanOrEqual(20)
      const width = columnsMasked.filter(Boolean).length
      expect(width).toBeLessThanOrEqual(3)
      widths.add(width)
    }
    expect([...widths].sort()).toEqual([0, 1, 2, 3])
  })

  it('come from the seed, and take what is too short to mask', () => {
    const drawn = (seed: number) => maskFeatures(alternating(50), columns, masks, new Random(seed))
    expect(drawn(1)).toEqual(drawn(1))
    expect(drawn(1)).not.toEqual(drawn(2))
    const rowsOnly = { ...masks, columns: { count: 0, most: 0 } }
    expect(maskFeatures(alternating(4), columns, rowsOnly, new Random(1))).toEqual(alternating(4))
    expect(maskFeatures(new Float32Array(0), columns, masks, new Random(1)).length).toBe(0)
  })
})
