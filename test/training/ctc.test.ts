import { describe, expect, it } from 'vitest'
import { Random } from '../../src/runtime/random.js'
import { ctcLoss, ctcRows } from '../../src/training/ctc.js'

const random = new Random(11)
const randomLogits = (T: number, V: number) => Float64Array.from({ length: T * V }, () => 2 * random.normal())

/** Probability of every text, by going through all V^T alignments. */
function bruteForce(logits: Float64Array, V: number): Map<string, number> {
  const T = logits.length / V
  const p = Array.from({ length: T }, (_, t) => {
    const row = Array.from(logits.subarray(t * V, (t + 1) * V), Math.exp)
    const sum = row.reduce((a, b) => a + b)
    return row.map((x) => x / sum)
  })
  const texts = new Map<string, number>()
  for (let path = 0; path < V ** T; path++) {
    let probability = 1
    const tokens: number[] = []
    for (let t = 0, rest = path, before = 0; t < T; t++, rest = Math.floor(rest / V)) {
      const v = rest % V
      probability *= p[t][v]
      if (v !== 0 && v !== before) tokens.push(v)
      before = v
    }
    const text = tokens.join()
    texts.set(text, (texts.get(text) ?? 0) + probability)
  }
  return texts
}

const one = (logits: Float64Array, T: number, target: number[]) => ctcLoss(logits, [0, T], [target])

describe('the CTC loss', () => {
  it('is that of all alignments, for every text', () => {
    for (const [T, V] of [
      [1, 2],
      [2, 3],
      [4, 3],
      [5, 4],
      [7, 2],
    ]) {
      const logits = randomLogits(T, V)
      let total = 0
      for (const [text, probability] of bruteForce(logits, V)) {
        const target = text === '' ? [] : text.split(',').map(Number)
        expect(one(logits, T, target).losses[0]).toBeCloseTo(-Math.log(probability), 10)
        total += Math.exp(-one(logits, T, target).losses[0])
      }
      expect(total).toBeCloseTo(1, 12)
    }
  })

  it('has the gradient that finite differences give', () => {
    for (const [T, V, target] of [
      [6, 4, [1, 2, 2, 3]],
      [5, 3, []],
      [5, 3, [1, 1, 1]],
      [9, 3, [2, 1]],
      [1, 3, [2]],
    ] as const) {
      const logits = randomLogits(T, V)
      const { dLogits } = one(logits, T, [...target])
      for (let i = 0; i < logits.length; i++) {
        const at = (h: number) => {
          const moved = logits.slice()
          moved[i] += h
          return one(moved, T, [...target]).losses[0]
        }
        expect(dLogits[i]).toBeCloseTo((at(1e-5) - at(-1e-5)) / 2e-5, 7)
      }
    }
  })

  it('takes segments one by one, none or many', () => {
    const logits = randomLogits(9, 3)
    const { losses, dLogits } = ctcLoss(logits, [0, 2, 6, 9], [[1], [2, 2], []])
    const apart = [one(logits.slice(0, 6), 2, [1]), one(logits.slice(6, 18), 4, [2, 2]), one(logits.slice(18), 3, [])]
    expect([...losses]).toEqual(apart.map(({ losses }) => losses[0]))
    expect([...dLogits]).toEqual(apart.flatMap(({ dLogits }) => [...dLogits]))
  })

  it('is Infinity without a gradient where the rows are too few, and only there', () => {
    expect(ctcRows([1, 1, 2, 2, 2])).toBe(8)
    const logits = randomLogits(7, 3)
    const { losses, dLogits } = ctcLoss(
      logits,
      [0, 4, 7],
      [
        [1, 1, 2, 2],
        [1, 1],
      ],
    )
    expect(losses[0]).toBe(Infinity)
    expect(dLogits.subarray(0, 12).every((x) => x === 0)).toBe(true)
    expect(losses[1]).toBeLessThan(Infinity)
    expect(dLogits.subarray(12).every((x) => Number.isFinite(x) && x !== 0)).toBe(true)
    const never = Float64Array.of(0, -Infinity, 0, 0, -Infinity, 0)
    expect(one(never, 2, [1]).losses[0]).toBe(Infinity)
    expect([...one(never, 2, [1]).dLogits]).toEqual([0, 0, 0, 0, 0, 0])
  })

  it('holds over long segments and extreme logits, and passes NaN on', () => {
    const T = 1000
    const logits = randomLogits(T, 5).map((x) => 100 * x)
    const target = Array.from({ length: 150 }, () => 1 + random.int(4))
    const { losses, dLogits } = one(logits, T, target)
    expect(losses[0]).toBeGreaterThan(0)
    expect(losses[0]).toBeLessThan(Infinity)
    let most = 0
    for (let t = 0; t < T; t++) {
      const row = dLogits.subarray(t * 5, t * 5 + 5)
      most = Math.max(most, Math.abs(row.reduce((a, b) => a + b)))
    }
    expect(most).toBeLessThan(1e-6)
    expect(one(Float64Array.of(Number.NaN, 0, 0, 0), 2, [1]).losses[0]).toBeNaN()
  })

  it('falls when the logits follow the gradient', () => {
    const logits = randomLogits(12, 4)
    const target = [1, 3, 3, 2]
    for (let step = 0; step < 200; step++) {
      const { dLogits } = one(logits, 12, target)
      for (let i = 0; i < logits.length; i++) logits[i] -= dLogits[i]
    }
    expect(one(logits, 12, target).losses[0]).toBeLessThan(0.05)
  })

  it('refuses tokens outside the vocabulary', () => {
    for (const token of [0, 3, -1]) expect(() => one(randomLogits(4, 3), 4, [token])).toThrow(/expected 1 .. 2/)
  })
})
