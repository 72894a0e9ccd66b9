import { describe, expect, test } from 'vitest'
import { carriedNumbers, heldBytes, spoolBytes } from '../../src/engine/memory.js'
import { laneOf, type PlanOptions, planOf } from '../../src/engine/plan.js'
import type { ModelSpec } from '../../src/spec.js'
import { parseSize } from '../../src/text/size.js'
import { randomWeights, tinySpec } from './models.js'

const plan = (spec: ModelSpec, threads: number, chunk?: number) =>
  planOf(spec, { device: 'cpu', threads, chunk, weights: new Map() })

test('a chunk is a multiple of the stride', () => {
  expect(plan(tinySpec('mamba'), 1).chunk).toBe(2048)
  expect(plan(tinySpec('mamba', true), 1).chunk).toBe(2048 * 6)
  expect(plan(tinySpec('mamba', true), 1, 7).chunk).toBe(12)
})

test.each([1, 2, 3, 5, 64])('%i threads share out the blocks, each once', (threads) => {
  const [block] = tinySpec('mamba').blocks
  const { stages, workers, depth } = plan({ ...tinySpec('mamba'), blocks: Array(5).fill(block) }, threads)
  expect(stages.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, i) => from + i))).toEqual([
    0, 1, 2, 3, 4,
  ])
  expect(stages).toHaveLength(Math.min(5, threads))
  expect(Math.max(...stages.map(({ from, to }) => to - from))).toBe(Math.ceil(5 / Math.min(5, threads)))
  expect([workers, depth]).toEqual([threads, 2 * threads])
})

test('a model without blocks has one stage', () => {
  expect(plan({ ...tinySpec('mamba'), blocks: [] }, 4).stages).toEqual([{ from: 0, to: 0 }])
})

test('keys and values that attention keeps are counted as far as a sequence goes', () => {
  const spec = tinySpec('attention')
  const bytes = (longest?: number) =>
    planOf(spec, { device: 'cpu', threads: 1, weights: new Map(), longest, chunk: 64 }).memory.run
  // Of a row 2 heads of 6 keys and 6 values in each block; the most are 600 rows, and the 13 of a window.
  expect(bytes() - bytes(5)).toBe(4 * 24 * (600 - 10 + (13 - 10)))
  expect(bytes(1000)).toBe(bytes())
})

describe('within a memory that is allowed', () => {
  const spec = tinySpec('add', true, true)
  const weights = randomWeights(spec)
  const allowed = (maxMemory: number, options: Partial<PlanOptions> = {}) =>
    planOf(spec, { device: 'cpu', threads: 4, weights, maxMemory, ...options })
  const least = (options: Partial<PlanOptions> = {}) => {
    try {
      allowed(1, options)
    } catch (error) {
      expect(error).toMatchObject({ exitCode: 2 })
      return parseSize((error as Error).message.split(' at least ')[1])!
    }
    throw new Error('a byte is enough')
  }

  test('chunks become smaller, then workers fewer, and nothing takes more than is allowed', () => {
    const [all, none] = [allowed(2 ** 40), least()]
    expect([all.workers, all.chunk]).toEqual([4, 2048 * 6])
    let before = { workers: 5, chunk: 2 ** 30 }
    for (let bytes = 2 ** 30; bytes >= none; bytes *= 0.98) {
      const plan = allowed(bytes)
      expect(plan.memory.run + plan.wholeBytes).toBeCloseTo(bytes, 0)
      expect(plan.workers).toBeLessThanOrEqual(before.workers)
      if (plan.workers === before.workers) expect(plan.chunk).toBeLessThanOrEqual(before.chunk)
      expect(plan.chunk % 6).toBe(0)
      before = plan
    }
    expect([before.workers, before.chunk]).toEqual([1, 128 * 6])
  })

  test('a chunk that was asked for stays, and one that the length of the model needs', () => {
    expect(allowed(least({ chunk: 6000 }), { chunk: 6000 }).chunk).toBe(6000)
    const fixed = tinySpec('add', true, true)
    fixed.head = { kind: 'classes', labels: ['a'], pool: 'center', length: 2000 }
    const smallest = planOf(fixed, { device: 'cpu', threads: 1, weights, maxMemory: least() + 2 ** 22 })
    expect(smallest.chunk).toBeGreaterThanOrEqual(2000)
  })

  test('the least for a sequence is enough for it, and a mebibyte less is not', () => {
    for (const tokens of [1e5, 1e6, 3e7]) {
      const held = heldBytes(spec, tokens)
      const bytes = allowed(2 ** 30).memory.leastFor(held)
      expect(allowed(bytes).wholeBytes).toBeGreaterThanOrEqual(held)
      expect(allowed(bytes, { longest: tokens }).wholeBytes).toBeGreaterThanOrEqual(held)
      expect(allowed(bytes - 2 ** 20).wholeBytes).toBeLessThan(held)
    }
    expect(() => allowed(least() - 2 ** 20)).toThrow('--max-memory')
    expect(allowed(least()).workers).toBe(1)
  })

  test('a long sequence that is known gets its room from fewer workers', () => {
    const held = heldBytes(spec, 2e7)
    const bytes = least() + held + 2 ** 24
    const [unknown, known] = [allowed(bytes), allowed(bytes, { longest: 2e7 })]
    expect([unknown.workers, unknown.wholeBytes < held]).toEqual([4, true])
    expect([known.workers < 4, known.wholeBytes >= held]).toEqual([true, true])
  })

  test('lanes share the workers and the room', () => {
    const plan = allowed(2 ** 30)
    const lanes = [0, 1, 2].map((lane) => laneOf(spec, plan, lane, 3))
    expect(lanes.map(({ workers }) => workers)).toEqual([1, 1, 2])
    expect(lanes.reduce((sum, { wholeBytes }) => sum + wholeBytes, 0)).toBeCloseTo(plan.wholeBytes, 0)
  })
})

test('the spool of a sequence: rows, states at the cuts, and what both strands give', () => {
  const spec = tinySpec('add', true)
  const state = 14 * (5 + 4) // [E, N] and [K, E]
  expect(spoolBytes(spec, 600, 6000)).toBe(4 * (1000 * spec.d_model + 10 * state))
  expect(spoolBytes(spec, 600, 6000, { half: true })).toBe(2 * 1000 * spec.d_model + 4 * 10 * state)
  expect(spoolBytes(spec, 6000, 6000)).toBe(0)
  expect(spoolBytes(tinySpec('mamba'), 600, 6000)).toBe(0)
  const both = { ...tinySpec('add'), reverse_complement: { complement: [3, 2, 1, 0, 4], fused: false } }
  expect(spoolBytes(both, 600, 6000)).toBe(4 * (6000 * 7 + 10 * state + 2 * 6000 * 7))
})

test('what a sequence carries is the state of each block', () => {
  // Two blocks: the last 4 rows of 14 channels, and 5 numbers of each.
  expect(carriedNumbers(tinySpec('mamba'))).toBe(2 * (4 * 14 + 14 * 5))
  expect(carriedNumbers(tinySpec('s4d'))).toBe(2 * 7 * 6)
})
