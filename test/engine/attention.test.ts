import { expect, test } from 'vitest'
import { openCpuBackend } from '../../src/backends/cpu/cpu.js'
import { oneSegment } from '../../src/backends/segments.js'
import { Session } from '../../src/engine/session.js'
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
