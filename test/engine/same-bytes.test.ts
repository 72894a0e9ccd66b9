import { afterAll, describe, expect, test } from 'vitest'
import { openBackend } from '../../src/backends/open.js'
import { piece, whole } from '../../src/engine/chunk.js'
import type { Network } from '../../src/engine/network.js'
import { type Piece, pack } from '../../src/engine/pack.js'
import type { Pool } from '../../src/spec.js'
import { Inference, type Wanted } from '../../src/tasks/inference.js'
import { network, randomIds, seeded, tinySpec } from './models.js'

const pools: Pool[] = ['mean', 'max', 'last']
const mixers = ['mamba', 'add', 'multiply', 'untied'] as const

for (const device of ['reference', 'cpu'] as const) {
  describe(`same bytes on ${device}`, async () => {
    const backend = await openBackend(device)
    afterAll(() => backend.close())

    for (const mixer of mixers) {
      for (const shape of device === 'cpu' ? ['narrow', 'stem', 'wide'] : ['narrow', 'stem']) {
        const net = network(backend, tinySpec(mixer, shape === 'stem', shape === 'wide'))
        const name = `${mixer}, ${shape}`

        test(`${name}: whatever the packing`, async () => {
          const random = seeded(7)
          for (const chunk of [6, 60, 300]) {
            const sequences = Array.from({ length: 7 }, () => randomIds(1 + Math.floor(random() ** 2 * 150), random))
            for (const wanted of wantedOf(net)) {
              const expected = []
              for (const ids of sequences) expected.push(...(await alone(net, ids, wanted)))
              expect(await packed(net, sequences, chunk, wanted)).toEqual(expected)
            }
          }
        })

        test(`${name}: whatever the cut`, async () => {
          const random = seeded(11)
          for (const length of [1, 61, 131]) {
            const ids = randomIds(length, random)
            for (const wanted of wantedOf(net)) {
              const expected = await alone(net, ids, wanted)
              for (let trial = 0; trial < 2; trial++) {
                const chunk = net.stride * (1 + Math.floor((random() * length) / net.stride))
                const inference = new Inference(net, chunk, wanted)
                const { data } = await inference.run({ input: ids, segments: whole(ids.length) })
                expect([...data]).toEqual(expected)
              }
              if (!net.bidirectional) expect(await atRandomCuts(net, ids, wanted, random)).toEqual(expected)
            }
          }
        })
      }
    }
  })
}

function wantedOf(net: Network): Wanted[] {
  return [
    ...pools.map((pool) => ({ kind: 'logits', pool }) as const),
    { kind: 'rows' },
    { kind: 'rows', layer: net.blocks.length - 1 },
  ]
}

async function alone(net: Network, ids: Int32Array, wanted: Wanted): Promise<number[]> {
  const { data } = await new Inference(net, 6000, wanted).run({ input: ids, segments: whole(ids.length) })
  return [...data]
}

async function packed(net: Network, sequences: Int32Array[], chunk: number, wanted: Wanted): Promise<number[]> {
  const inference = new Inference(net, chunk, wanted)
  const pieces: Piece<null>[] = sequences.map((ids) => ({ input: ids, note: null, continues: false, goesOn: false }))
  const out: number[] = []
  for await (const job of pack(pieces, chunk)) out.push(...(await inference.run(job)).data)
  return out
}

/** Cuts fall on multiples of the stride, anywhere else. */
async function atRandomCuts(net: Network, ids: Int32Array, wanted: Wanted, random: () => number): Promise<number[]> {
  const inference = new Inference(net, 6000, wanted)
  const out: number[] = []
  let from = 0
  while (from < ids.length) {
    const to = Math.min(ids.length, from + net.stride * (1 + Math.floor((random() * 40) / net.stride)))
    const { data } = await inference.run({ input: ids.slice(from, to), segments: piece(from, to, ids.length) })
    out.push(...data)
    from = to
  }
  return out
}
