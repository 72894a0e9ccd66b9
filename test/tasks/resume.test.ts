import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Output } from '../../src/engine/outputs.js'
import type { Piece } from '../../src/engine/pack.js'
import { planOf } from '../../src/engine/plan.js'
import type { ModelSpec } from '../../src/spec.js'
import { predict } from '../../src/tasks/predict.js'
import { Answers, keyOf } from '../../src/tasks/resume/answers.js'
import { ResumeFolder } from '../../src/tasks/resume/folder.js'
import { LongSequence } from '../../src/tasks/resume/long-sequence.js'
import { Recall } from '../../src/tasks/resume/recall.js'
import { randomIds, randomWeights, seeded, tinySpec } from '../engine/models.js'
import { temporaryFolder } from '../shell/run.js'

const folder = temporaryFolder()
const identity = { version: '1', command: 'test', flags: {}, device: 'cpu', model: 'm', inputs: [] }

const [block] = tinySpec('mamba', true, true).blocks
const causal: ModelSpec = { ...tinySpec('mamba', true, true), blocks: Array(3).fill(block) }
causal.hidden_states = { embedding: true, blocks: 'residual', listed: 3, final: true }

const outputs: Output[] = [
  { pool: 'mean', head: true },
  {},
  { layer: 1, pool: 'max' },
  { bin: 7 },
  { bin: 150, layer: 2 },
]

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

describe('what was kept and is damaged', () => {
  const said = (i: number) => ({ data: Float32Array.from({ length: 1 + (i % 7) }, (_, j) => i + j / 8), width: 1 })
  const key = (i: number) => keyOf(Int32Array.of(i))
  const count = 60

  test.each(['cut off', 'flipped'])('is never taken for an answer: answers, %s', async (damage) => {
    const random = seeded(11)
    for (let turn = 0; turn < 30; turn++) {
      const place = join(folder, `answers ${damage} ${turn}`)
      mkdirSync(place)
      // Three runs that came to an end, in several blocks each.
      for (let run = 0; run < 3; run++) {
        const answers = new Answers(place)
        for (let i = run * 20; i < run * 20 + 20; i++) {
          await answers.add(key(i), said(i))
          if (i % 5 === 4) await answers.flush()
        }
        await answers.close()
      }
      const file = join(place, `answers-00000${Math.floor(random() * 3)}`)
      const bytes = readFileSync(file)
      const at = Math.floor(random() * bytes.length)
      if (damage === 'flipped') bytes[at] ^= 1 << Math.floor(random() * 8)
      writeFileSync(file, damage === 'flipped' ? bytes : bytes.subarray(0, at))
      const answers = new Answers(place)
      let found = 0
      for (let i = 0; i < count + 5; i++) {
        const got = await answers.find(key(i))
        if (got === null) continue
        found++
        expect({ i, ...got }).toEqual({ i, ...said(i) })
      }
      await answers.close()
      expect(found).toBeGreaterThanOrEqual(40)
      expect(found).toBeLessThan(count)
    }
  })

  test.each(['state', 'rows'])('is never taken for an answer: the file .%s of a long sequence', async (suffix) => {
    const random = seeded(12)
    for (let turn = 0; turn < 30; turn++) {
      const path = join(folder, `sequence ${suffix} ${turn}`)
      const first = await LongSequence.open(path)
      for (let i = 0; i < 10; i++) await first.add(said(i))
      const place = { position: 10, input: 'x', ended: false }
      await first.save({ ...place, snapshot: { positions: [10], stem: [], blocks: [[said(3).data]], carries: [null] } })
      await first.add(said(10)) // never saved
      await first.close()
      const whole = await LongSequence.open(path)
      expect(whole.standing).toMatchObject(place)
      for (let i = 0; i < 10; i++) expect(await whole.next()).toEqual(said(i))
      expect(await whole.next()).toBeNull()
      await whole.close()
      const bytes = readFileSync(`${path}.${suffix}`)
      // What lies behind the last answer that counts may be anything.
      const at = Math.floor(random() * (whole.standing && suffix === 'rows' ? whole.standing.bytes : bytes.length))
      if (turn % 2) bytes[at] ^= 1 << Math.floor(random() * 8)
      writeFileSync(`${path}.${suffix}`, turn % 2 ? bytes : bytes.subarray(0, at))
      const damaged = await LongSequence.open(path)
      expect([damaged.standing, await damaged.next()]).toEqual([null, null])
      await damaged.close()
    }
  })
})
