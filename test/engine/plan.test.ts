import { expect, test } from 'vitest'
import { bytesToSweep, planOf } from '../../src/engine/plan.js'
import type { ModelSpec } from '../../src/spec.js'
import { tinySpec } from './models.js'

const plan = (spec: ModelSpec, threads: number, chunk?: number) => planOf(spec, { device: 'cpu', threads, chunk })

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

test('a sweep takes the residual stream, and four times that where both strands are read', () => {
  const spec = tinySpec('add', true)
  expect(bytesToSweep(spec, 6000)).toBe(1000 * spec.d_model * 4)
  const both = { ...spec, reverse_complement: { complement: [3, 2, 1, 0, 4], fused: false } }
  expect(bytesToSweep(both, 6000)).toBe(4 * 1000 * spec.d_model * 4)
})
