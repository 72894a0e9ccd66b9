import { expect, test } from 'vitest'
import type { Output } from '../../src/engine/outputs.js'
import type { Piece } from '../../src/engine/pack.js'
import { planOf } from '../../src/engine/plan.js'
import { predict } from '../../src/tasks/predict.js'
import { randomIds, randomWeights, seeded, tinySpec } from '../engine/models.js'

test('a long sequence through workers by layers gives the bytes of one worker, whatever is read of it', async () => {
  const [block] = tinySpec('mamba', true, true).blocks
  const spec = { ...tinySpec('mamba', true, true), blocks: Array(3).fill(block) }
  spec.hidden_states = { embedding: true, blocks: 'residual', listed: 3, final: true }
  const weights = randomWeights(spec)
  const ids = randomIds(600, seeded(3))
  const outputs: Output[] = [
    { pool: 'mean', head: true },
    {},
    { layer: 0 },
    { layer: 1, pool: 'max' },
    { layer: 2 },
    { layer: 4 },
  ]
  for (const [i, wanted] of outputs.entries()) {
    const found = []
    // Three layers on two threads, and on three.
    for (const threads of i === 0 ? [1, 2, 3] : [1, 2 + (i % 2)]) {
      const plan = planOf(spec, { device: 'cpu', threads, chunk: 60, weights })
      const rows: number[] = []
      for await (const { note, data } of predict(
        pieces(ids, plan.chunk),
        { spec, weights },
        { device: 'cpu', plan, wanted },
      )) {
        expect(note).toBe('long')
        rows.push(...data)
      }
      found.push(rows)
    }
    expect(found[0].length).toBeGreaterThan(2)
    for (const same of found) expect(same).toEqual(found[0])
  }
})

async function* pieces(ids: Int32Array, size: number): AsyncGenerator<Piece<string>> {
  for (let start = 0; start < ids.length; start += size)
    yield { input: ids.slice(start, start + size), note: 'long', start, ends: start + size >= ids.length, slot: 0 }
}
