import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Plan } from '../../src/engine/plan.js'
import { freeBytes, type Room, WholeRoom, wholeNeeds } from '../../src/tasks/whole-room.js'
import { tinySpec } from '../engine/models.js'
import { temporaryFolder } from '../shell/run.js'

const folder = temporaryFolder()
const spec = tinySpec('add')
const chunk = 600
const onHost = { chunk, deviceSpoolBytes: 0 }
const { held, spool } = wholeNeeds(spec, onHost, 6000)
const roomFor = (wholeBytes: number) => new WholeRoom(spec, { ...onHost, wholeBytes } as Plan, folder)

test('spools lie in memory while there is room, then in files, and who finds no room at all waits', async () => {
  const room = roomFor(2 * held + spool)
  const [first, second] = [await room.take(6000), await room.take(6000)]
  expect([first.folder, second.folder]).toEqual([undefined, folder])
  let third: Room | undefined
  const waits = room.take(6000).then((taken) => {
    third = taken
  })
  await setTimeout(20)
  expect(third).toBeUndefined()
  second.give()
  await waits
  expect(third?.folder).toBe(folder)
  first.give()
  third?.give()
  expect((await room.take(6000)).folder).toBeUndefined()
})

test('what outlives the run lies in a folder of its own and takes twice the room, whatever the memory', async () => {
  expect((await roomFor(10 * (held + spool)).take(6000, folder)).folder).toBe(folder)
  const tokens = (await freeBytes(folder)) / 4 / 8
  expect(wholeNeeds(spec, onHost, tokens, { kept: true })).toEqual({
    held: wholeNeeds(spec, onHost, tokens).held,
    spool: 2 * wholeNeeds(spec, onHost, tokens).spool,
    onDevice: false,
  })
  await expect(roomFor(1e18).take(tokens, folder)).rejects.toThrow(
    /--resume needs a file of .* free; -o names .* --window/,
  )
})

test('a spool that lies on the device takes no memory, one that is too large for it, in halves or kept does', async () => {
  const on = (deviceSpoolBytes: number, wholeBytes: number, half = false) =>
    new WholeRoom(spec, { chunk, deviceSpoolBytes, wholeBytes } as Plan, folder, { half })
  const room = on(spool + 1, 2 * held)
  const [first, second] = [await room.take(6000), await room.take(6000)]
  expect([first.folder, second.folder]).toEqual([undefined, undefined])
  first.give()
  expect((await room.take(6000, folder)).folder).toBe(folder)
  expect((await on(spool, held).take(6000)).folder).toBe(folder)
  expect((await on(spool + 1, held, true).take(6000)).folder).toBe(folder)
  expect((await on(spool, held + spool).take(6000)).folder).toBeUndefined()
})

test('a sequence that fits a chunk takes nothing', async () => {
  expect((await roomFor(0).take(chunk)).folder).toBeUndefined()
})

test('a file that the disk has no room for is an error (74) that says what would help', async () => {
  const tokens = (await freeBytes(folder)) / 4
  const taken = roomFor(wholeNeeds(spec, onHost, tokens).held).take(tokens)
  await expect(taken).rejects.toMatchObject({
    exitCode: 74,
    message: expect.stringContaining(`${folder}: a temporary`),
  })
  await expect(taken).rejects.toThrow(/ is needed and .* free; --tmp-dir .* --max-memory .* --window/)
})

test('where a folder is not there, opening the file says so', async () => {
  expect(await freeBytes(`${folder}/missing`)).toBe(Number.POSITIVE_INFINITY)
})
