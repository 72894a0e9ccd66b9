import { describe, expect, it } from 'vitest'
import { crossEntropy } from '../../src/training/losses.js'
import { learningRate } from '../../src/training/optimizer.js'

describe('cross-entropy', () => {
  it('is the log of the number of classes where nothing is known', () => {
    for (const loss of crossEntropy(new Float64Array(6), [0, 2]).losses) expect(loss).toBeCloseTo(Math.log(3), 12)
  })

  it('has the gradient that finite differences give, with and without smoothing', () => {
    const logits = Float64Array.of(0.3, -1.2, 2, 5, 0.1, -3)
    for (const smoothing of [0, 0.2]) {
      const { dLogits } = crossEntropy(logits, [1, 0], smoothing)
      for (let i = 0; i < logits.length; i++) {
        const at = (h: number) => {
          const moved = logits.slice()
          moved[i] += h
          return crossEntropy(moved, [1, 0], smoothing).losses.reduce((a, b) => a + b)
        }
        expect(dLogits[i]).toBeCloseTo((at(1e-6) - at(-1e-6)) / 2e-6, 7)
      }
    }
  })

  it('takes logits far out of range of exp, and passes NaN on', () => {
    expect([...crossEntropy(Float64Array.of(1000, 0), [0]).dLogits]).toEqual([0, 0])
    expect(crossEntropy(Float64Array.of(1000, 0), [1]).losses[0]).toBeCloseTo(1000, 9)
    expect(crossEntropy(Float64Array.of(Number.NaN, 0), [1]).losses[0]).toBeNaN()
  })
})

describe('the learning rate', () => {
  it('rises, then falls along a cosine', () => {
    const settings = { lr: 1, warmup: 0.1 }
    expect(learningRate(1, 100, settings)).toBeCloseTo(0.1, 12)
    expect(learningRate(10, 100, settings)).toBe(1)
    expect(learningRate(11, 100, settings)).toBe(1)
    expect(learningRate(56, 100, settings)).toBeCloseTo(0.5, 12)
    expect(learningRate(100, 100, settings)).toBeLessThan(0.001)
    expect(learningRate(1, 100, { lr: 1, warmup: 0 })).toBe(1)
  })
})
