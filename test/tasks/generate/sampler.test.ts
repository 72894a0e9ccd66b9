import { expect, test } from 'vitest'
import { Sampler, type Sampling } from '../../../src/tasks/generate/sampler.js'

const plain: Sampling = { temperature: 1, topP: 1, repetitionPenalty: 1, seed: 1 }
const prompt = Int32Array.of(0)
const p = [0.5, 0.25, 0.15, 0.1]
const logits = Float32Array.from(p, Math.log)

/** How often each token is drawn. */
function shares(sampling: Partial<Sampling>, values = logits, allowed = values.length): number[] {
  const counts = new Array<number>(values.length).fill(0)
  const draws = 20_000
  const sampler = new Sampler({ ...plain, ...sampling }, prompt, allowed)
  for (let i = 0; i < draws; i++) counts[sampler.next(values, 0)]++
  return counts.map((count) => count / draws)
}

const close = (found: number[], expected: number[]) => {
  for (const [i, share] of expected.entries())
    expect(Math.abs(found[i] - share), `${found} ${expected}`).toBeLessThan(0.015)
}

test('draws by the probabilities, flatter or steeper with the temperature', () => {
  close(shares({}), p)
  const squares = p.map((x) => x * x)
  const sum = squares.reduce((a, b) => a + b)
  close(
    shares({ temperature: 0.5 }),
    squares.map((x) => x / sum),
  )
})

test('without a temperature the first of the most likely is taken', () => {
  expect(shares({ temperature: 0 })).toEqual([1, 0, 0, 0])
  expect(shares({ temperature: 0 }, Float32Array.of(1, 3, 3, 2))).toEqual([0, 1, 0, 0])
})

test('top-k and top-p leave the least likely out', () => {
  close(shares({ topK: 2 }), [2 / 3, 1 / 3, 0, 0])
  // 0.5 + 0.25 do not reach 0.8, with 0.15 they do.
  close(shares({ topP: 0.8 }), [5 / 9, 2.5 / 9, 1.5 / 9, 0])
  expect(shares({ topP: 0 })).toEqual([1, 0, 0, 0])
  // Top-p is of what top-k has left.
  close(shares({ topK: 2, topP: 0.6 }), [1, 0, 0, 0])
})

test('the repetition penalty divides what is above zero and multiplies what is below', () => {
  const scores = Float32Array.of(2, 1.5, -1)
  const greedy = { ...plain, temperature: 0, repetitionPenalty: 2 }
  const sampler = new Sampler(greedy, prompt, 3)
  // 0 is in the prompt: 1 against 1.5; then 1, 0.75; of equals the first.
  expect([1, 2, 3].map(() => sampler.next(scores, 0))).toEqual([1, 0, 0])
  expect(new Sampler(greedy, Int32Array.of(0), 2).next(Float32Array.of(-1, -1.5), 0)).toBe(1)
})

test('ids beyond those that are allowed are not chosen', () => {
  expect(shares({ temperature: 0 }, Float32Array.of(1, 2, 9), 2)).toEqual([0, 1, 0])
  close(shares({}, logits, 2), [2 / 3, 1 / 3, 0, 0])
})

test('what is drawn depends on the seed and on the prompt', () => {
  const drawn = (seed: number, ...ids: number[]) => {
    const sampler = new Sampler({ ...plain, seed }, Int32Array.from(ids), 4)
    return Array.from({ length: 40 }, () => sampler.next(logits, 0)).join('')
  }
  expect(drawn(1, 1, 2)).toBe(drawn(1, 1, 2))
  expect(new Set([drawn(1, 1, 2), drawn(2, 1, 2), drawn(1, 2, 1), drawn(1, 1)]).size).toBe(4)
})
