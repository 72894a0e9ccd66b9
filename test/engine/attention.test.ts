import { expect, test } from 'vitest'
import { openCpuBackend } from '../../src/backends/cpu/cpu.js'
import { oneSegment } from '../../src/backends/segments.js'
import { Session } from '../../src/engine/session.js'
import type { AttentionSpec } from '../../src/layers/mixers/attention.js'
import type { ParallelSpec } from '../../src/layers/mixers/parallel.js'
import { network, randomIds, seeded, tinySpec } from './models.js'

const backend = await openCpuBackend()
const net = network(backend, tinySpec('attention'))
const ids = randomIds(700, seeded(3))

const open = () => new Session(net, { chunk: 100, outputs: [{}] })
const push = (session: Session, from: number, to: number) =>
  session.push({ input: ids.subarray(from, to), segments: oneSegment(to - from, from, false, 0) })

test('keys are kept as far as a sequence goes, and of a window no more than it holds', async () => {
  const session = open()
  await push(session, 0, 300)
  const { layers } = await session.save()
  // [heads of keys, rows, width]
  expect(layers.map(({ key_cache, value_cache }) => [key_cache.length, value_cache.length])).toEqual([
    [2 * 300 * 6, 2 * 300 * 6],
    [2 * 13 * 6, 2 * 13 * 6],
  ])
  session.close()
})

test('a sequence longer than the model reads is an error, whole or cut', async () => {
  const tooLong = { message: 'a sequence is longer than the 600 rows that this model reads', exitCode: 65 }
  const session = open()
  await push(session, 0, 600)
  await expect(push(session, 600, 601)).rejects.toMatchObject(tooLong)
  session.close()
  const whole = new Session(net, { chunk: 700, outputs: [{}] })
  const segments = oneSegment(601, 0, true, -1)
  await expect(whole.push({ input: ids.subarray(0, 601), segments })).rejects.toMatchObject(tooLong)
  whole.close()
})

test('a state of another length is no state of this sequence', async () => {
  const session = open()
  await push(session, 0, 40)
  const state = await session.save()
  session.close()
  const message = 'state of another model: key_cache of layer 0 has 480 values, expected 492'
  expect(() => open().load({ ...state, position: 41 })).toThrow(message)
})

test('two caches of mixers side by side have names of their own, and any cut gives the same bytes', async () => {
  const attention = net.spec.blocks[0].mixer as AttentionSpec
  const { max_length: _, ...unbounded } = attention
  const mixer: ParallelSpec = { kind: 'parallel', mixers: [attention, { ...unbounded, window: 3 } as AttentionSpec] }
  const both = network(backend, { ...net.spec, blocks: [{ mixer }] })
  const all = new Session(both, { chunk: 100, outputs: [{}] })
  const whole = await all.push({ input: ids.subarray(0, 90), segments: oneSegment(90, 0, true, -1) })
  const pieces = new Session(both, { chunk: 100, outputs: [{}] })
  const found: number[] = []
  for (let from = 0; from < 90; from += 30)
    for (const { data } of (
      await pieces.push({ input: ids.subarray(from, from + 30), segments: oneSegment(30, from, from === 60, 0) })
    ).reads)
      found.push(...data)
  expect(found).toEqual([...whole.reads[0].data])
  const [layer] = (await pieces.save()).layers
  const lengths = Object.entries(layer).map(([name, { length }]) => [name, length / 12])
  expect(Object.fromEntries(lengths)).toEqual({ key_cache: 90, value_cache: 90, '1.key_cache': 3, '1.value_cache': 3 })
  for (const session of [all, pieces]) session.close()
})
