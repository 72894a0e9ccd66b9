import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Output } from '../../src/engine/outputs.js'
import type { Piece } from '../../src/engine/pack.js'
import { planOf } from '../../src/engine/plan.js'
import type { ModelSpec } from '../../src/spec.js'
import { predict } from '../../src/tasks/predict.js'
import { ResumeFolder } from '../../src/tasks/resume/folder.js'
import { Recall } from '../../src/tasks/resume/recall.js'
import { randomIds, randomWeights, seeded, tinySpec } from '../engine/models.js'
import { temporaryFolder } from '../shell/run.js'

const folder = temporaryFolder()
const identity = { version: '1', command: 'test', flags: {}, device: 'cpu', model: 'm', inputs: [] }

const [block] = tinySpec('mamba', true, true).blocks
const causal: ModelSpec = { ...tinySpec('mamba', true, true), blocks: Array(3).fill(block) }
causal.hidden_states = { embedding: true, blocks: 'residual', listed: 3, final: true }

const outputs: Output[] = [{ pool: 'mean', head: true }, {}, { layer: 1, pool: 'max' }]

test.each(outputs)(
  'a long sequence goes on from the last state, on as many threads as there are then: %o',
  async (wanted) => {
    const weights = randomWeights(causal)
    const ids = randomIds(60 * 60 + 17, seeded(3))
    const path = join(folder, String(outputs.indexOf(wanted)))
    /** All numbers, or those before the answer or piece number `until`. */
    const run = async (
      threads: number,
      { resumed, until = Number.POSITIVE_INFINITY }: { resumed: boolean; until?: number },
    ) => {
      const plan = planOf(causal, { device: 'cpu', threads, chunk: 60, weights })
      const open = resumed ? await ResumeFolder.open(path, identity) : null
      if (open) open.chunk = plan.chunk
      const recall = open ? new Recall<string>(open, (note) => note) : undefined
      const rows: number[] = []
      let drawn = 0
      const drawing = async function* () {
        for (const piece of pieces(ids, plan.chunk)) {
          if (drawn++ === until) throw new Error('stopped')
          yield piece
        }
      }
      try {
        for await (const { data } of predict(
          drawing(),
          { spec: causal, weights },
          { device: 'cpu', plan, wanted, recall },
        ))
          rows.push(...data)
      } catch (error) {
        expect((error as Error).message).toBe('stopped')
      }
      await open?.keep()
      return { rows, known: open?.known }
    }
    const { rows } = await run(2, { resumed: false })
    expect((await run(2, { resumed: true, until: 21 })).known).toBe(0)
    expect((await run(1, { resumed: true, until: 30 })).known).toBe(16)
    expect((await run(3, { resumed: true, until: 47 })).known).toBe(24)
    const last = await run(2, { resumed: true })
    expect(last.known).toBe(40)
    expect(last.rows).toEqual(rows)
    // All is known then.
    const again = await run(1, { resumed: true })
    expect(again).toEqual({ rows, known: 61 })
  },
)

function* pieces(ids: Int32Array, size: number): Generator<Piece<string>> {
  for (let start = 0; start < ids.length; start += size)
    yield { input: ids.slice(start, start + size), note: 'long', start, ends: start + size >= ids.length, slot: 0 }
}
