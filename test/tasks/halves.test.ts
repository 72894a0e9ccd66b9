import { readdirSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { devices } from '../../src/backends/registry.js'
import { wholeSegments } from '../../src/backends/segments.js'
import { heldBytes } from '../../src/engine/memory.js'
import { PortNeighbour } from '../../src/engine/neighbour.js'
import type { Output } from '../../src/engine/outputs.js'
import type { Piece } from '../../src/engine/pack.js'
import { planOf } from '../../src/engine/plan.js'
import { joinedReads, Session } from '../../src/engine/session.js'
import type { ModelSpec } from '../../src/spec.js'
import { halvesOf } from '../../src/tasks/halves.js'
import { predict } from '../../src/tasks/predict.js'
import { network, randomIds, randomWeights, seeded, tinySpec } from '../engine/models.js'
import { temporaryFolder } from '../shell/run.js'

const tmpDir = temporaryFolder()
const [forwardOnly] = tinySpec('mamba').blocks
const strands: Partial<ModelSpec> = {
  head: { kind: 'tokens', tied: true },
  reverse_complement: { complement: [3, 2, 1, 0, 4], fused: true },
}
const deep = (spec: ModelSpec): ModelSpec => ({
  ...spec,
  blocks: [...spec.blocks, spec.blocks[0]],
  hidden_states: { embedding: true, blocks: 'residual', listed: 3, final: true },
})

const models: Record<string, ModelSpec> = {
  'tied, added': deep(tinySpec('add')),
  'tied, multiplied, a stem': deep(tinySpec('multiply', true)),
  untied: deep(tinySpec('untied')),
  'untied, a stem, outputs of mixers': {
    ...deep(tinySpec('untied', true)),
    hidden_states: { embedding: false, blocks: 'mixer', listed: 3, final: false },
  },
  'with a layer that reads forward only': {
    ...deep(tinySpec('add')),
    blocks: [tinySpec('add').blocks[1], forwardOnly, tinySpec('add').blocks[0]],
  },
  's4, a stem': deep(tinySpec('s4', true)),
  s5: deep(tinySpec('s5')),
  'both strands': { ...deep(tinySpec('add')), ...strands },
  'both strands, untied': { ...deep(tinySpec('untied')), ...strands },
}

const outputs: Output[] = [
  { pool: 'mean', head: true },
  { pool: 'max', layer: 1 },
  { pool: 'last' },
  {},
  { layer: 0 },
  { layer: 2 },
]

describe('two halves of a sequence give the bytes of the whole, whatever is read of it', async () => {
  const backend = await devices.cpu.open()
  afterAll(() => backend.close())

  test.each(Object.entries(models))('%s', async (_, spec) => {
    const net = network(backend, spec)
    const random = seeded(31)
    // Halves of less than a chunk, of one, and of several.
    for (const length of [61, 120, 403]) {
      const ids = randomIds(length, random)
      for (const output of outputs.filter(({ head }) => !head || spec.head)) {
        const session = () => new Session(net, { chunk: 60, outputs: [output] })
        const segments = wholeSegments(Int32Array.of(0, length))
        const [expected] = (await new Session(net, { chunk: 6000, outputs: [output] }).push({ input: ids, segments }))
          .reads
        for (const folder of [undefined, tmpDir]) {
          const halves = halvesOf(spec, { input: ids.slice(), segments }).map(({ input, segments, other }) => {
            const neighbour = new PortNeighbour(other!.port, other!.tokens)
            const reads = joinedReads(
              session().parts({ input, segments }, { folder, neighbours: { [other!.side]: neighbour } }),
            )
            return reads.finally(() => neighbour.close())
          })
          expect(await joinedReads(await Promise.all(halves))).toEqual([expected])
        }
      }
    }
    expect(readdirSync(tmpDir)).toEqual([])
  })
})

/** In its workers: any number of sequences, pooled or in parts, some with their spools in files, between some that are not cut. */
test.each<[string, number, Output]>([
  ['tied, multiplied, a stem', 2, { pool: 'mean', head: true }],
  ['both strands', 3, {}],
])('sequences on two workers each: %s, %i threads', { timeout: 60_000 }, async (name, threads, wanted) => {
  const spec = models[name]
  const weights = randomWeights(spec)
  const random = seeded(32)
  const sequences = [61, 40, 97, 240, 1003, 13, 500].map((length) => randomIds(length, random))
  const run = async (threads: number) => {
    const planned = planOf(spec, { device: 'cpu', threads, chunk: 60, weights })
    const plan = threads === 1 ? planned : { ...planned, wholeBytes: heldBytes(spec, 1003) }
    const found: number[][] = sequences.map(() => [])
    const pieces = sequences.map(
      (ids, note): Piece<number> => ({ input: ids.slice(), note, start: 0, ends: true, slot: -1 }),
    )
    const options = { device: 'cpu' as const, plan, wanted, tmpDir, inParts: true }
    for await (const { note, data } of predict(each(pieces), { spec, weights }, options)) found[note].push(...data)
    return found
  }
  const expected = await run(1)
  expect(Math.min(...expected.map(({ length }) => length))).toBeGreaterThan(2)
  expect(await run(threads)).toEqual(expected)
})

async function* each<Item>(items: Item[]): AsyncGenerator<Item> {
  yield* items
}
