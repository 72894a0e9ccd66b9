import { expect, test } from 'vitest'
import { inItemOrder } from '../../src/tasks/tracks.js'
import { seeded } from '../engine/models.js'

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

interface Item {
  name: number
  results: number
}

async function collect(items: Item[], tracks: number, seed: number, fail?: number) {
  const random = seeded(seed)
  const given: string[] = []
  let most = 0
  let open = 0
  const work = async function* (drawn: Iterable<Item>) {
    for (const item of drawn) {
      most = Math.max(most, ++open)
      for (let r = 0; r < item.results; r++) {
        if (random() < 0.03) await pause(random() * 3)
        if (item.name === fail) throw new Error(`item ${fail}`)
        yield { item, result: r }
      }
      open--
    }
  }
  for await (const { item, result } of inItemOrder(items, tracks, work)) given.push(`${item.name}:${result ?? 'end'}`)
  return { given, most }
}

test('results come in the order of the items, each with its end, whatever the tracks', async () => {
  const items = [3, 0, 5, 1, 0, 0, 1100, 4, 2].map((results, name) => ({ name, results }))
  const expected = items.flatMap(({ name, results }) => [
    ...Array.from({ length: results }, (_, r) => `${name}:${r}`),
    `${name}:end`,
  ])
  for (const [seed, tracks] of [1, 2, 3, 12].entries()) {
    const { given, most } = await collect(items, tracks, seed)
    expect(given).toEqual(expected)
    expect(most).toBeGreaterThan(tracks > 1 ? 1 : 0)
  }
  expect((await collect([], 2, 1)).given).toEqual([])
})

test('a failure of any track ends all', async () => {
  const items = Array.from({ length: 20 }, (_, name) => ({ name, results: 3 }))
  await expect(collect(items, 3, 1, 7)).rejects.toThrow('item 7')
})
