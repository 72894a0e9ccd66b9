import { expect, test } from 'vitest'
import { inItemOrder } from '../../../src/tasks/audio/lanes.js'
import { seeded } from '../../engine/models.js'

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

interface Item {
  name: number
  results: number
}

async function collect(items: Item[], lanes: number, seed: number) {
  const random = seeded(seed)
  const given: string[] = []
  let most = 0
  let open = 0
  const work = async function* (drawn: Iterable<Item>) {
    for (const item of drawn) {
      most = Math.max(most, ++open)
      for (let r = 0; r < item.results; r++) {
        if (random() < 0.03) await pause(random() * 3)
        yield { item, result: r }
      }
      open--
    }
  }
  for await (const { item, result } of inItemOrder(items, lanes, work)) given.push(`${item.name}:${result ?? 'end'}`)
  return { given, most }
}

test('results come in the order of the items, each with its end, whatever the lanes', async () => {
  const items = [3, 0, 5, 1, 0, 0, 1100, 4, 2].map((results, name) => ({ name, results }))
  const expected = items.flatMap(({ name, results }) => [
    ...Array.from({ length: results }, (_, r) => `${name}:${r}`),
    `${name}:end`,
  ])
  for (const [seed, lanes] of [1, 2, 3, 12].entries()) {
    const { given, most } = await collect(items, lanes, seed)
    expect(given).toEqual(expected)
    expect(most).toBeGreaterThan(lanes > 1 ? 1 : 0)
  }
  expect((await collect([], 2, 1)).given).toEqual([])
})

test('a failure ends all when its turn comes, the first in the order of the items', async () => {
  const items = Array.from({ length: 20 }, (_, name) => ({ name, results: 3 }))
  for (const lanes of [1, 2, 3, 30]) {
    const given: number[] = []
    const run = async () => {
      const work = async function* (drawn: Iterable<Item>) {
        for (const item of drawn) {
          // The later one of the two that fail does so long before the other.
          await pause(item.name === 7 ? 60 : 1)
          if (item.name === 7 || item.name === 8) {
            yield { item, failure: new Error(`item ${item.name}`) }
            return
          }
          yield { item, result: 0 }
        }
      }
      for await (const { item, result } of inItemOrder(items, lanes, work)) if (result !== null) given.push(item.name)
    }
    await expect(run()).rejects.toThrow('item 7')
    expect(given).toEqual([0, 1, 2, 3, 4, 5, 6])
  }
})

test('what a lane throws ends all, drawn or not', async () => {
  const work = async function* (drawn: Iterable<number>) {
    await pause(1)
    if (String(drawn)) throw new Error('no engine')
    yield { item: 1, result: 1 }
  }
  await expect(inItemOrder([1, 2], 2, work).next()).rejects.toThrow('no engine')
})
