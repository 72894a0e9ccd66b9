import { expect, test } from 'vitest'
import { pack } from '../../src/engine/pack.js'

test('a chunk holds as many segments as fit: their number is no depth of the stack', async () => {
  const segments = 300_000
  function* pieces() {
    for (let i = 0; i < segments; i++) yield { input: Int32Array.of(1, 2), note: i, start: 0, ends: true, slot: -1 }
  }
  const chunks = []
  for await (const chunk of pack(pieces(), 2 ** 24)) chunks.push(chunk)
  expect(chunks).toHaveLength(1)
  const { offsets } = chunks[0].segments
  expect([offsets.length, offsets[0], offsets[1], offsets[segments]]).toEqual([segments + 1, 0, 2, 2 * segments])
})

test('a chunk that is full goes out, and one with an urgent piece, before the next piece is there', async () => {
  let drawn = 0
  const piece = (length: number, urgent = false) => {
    drawn++
    return { input: new Int32Array(length), note: drawn, start: 0, ends: true, slot: -1, urgent }
  }
  function* pieces() {
    yield piece(2)
    yield piece(3)
    yield piece(2)
    yield piece(1, true)
    yield piece(4)
  }
  const seen: [number[], number][] = []
  for await (const { notes } of pack(pieces(), 5)) seen.push([notes, drawn])
  expect(seen).toEqual([
    [[1, 2], 2],
    [[3, 4], 4],
    [[5], 5],
  ])
})
