import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { inOrder } from '../../src/engine/in-order.js'
import { seeded } from './models.js'

test('results come in the order of the jobs, with no more than `depth` under way', async () => {
  const random = seeded(1)
  const jobs = Array.from({ length: 60 }, (_, i) => i)
  for (const depth of [1, 2, 7]) {
    let [underWay, most] = [0, 0]
    const run = async (job: number) => {
      most = Math.max(most, ++underWay)
      await setTimeout(2 * random())
      underWay--
      return 10 * job
    }
    const found: number[] = []
    for await (const result of inOrder(jobs, run, depth)) found.push(result)
    expect(found).toEqual(jobs.map((job) => 10 * job))
    expect(most).toBe(depth)
  }
})

test('a result does not wait for the next job', async () => {
  let speak: (job: number | null) => void = () => {}
  async function* jobs() {
    while (true) {
      const job = await new Promise<number | null>((resolve) => {
        speak = resolve
      })
      if (job === null) return
      yield job
    }
  }
  const results = inOrder(jobs(), async (job) => -job, 8)
  for (const job of [1, 2, 3]) {
    const result = results.next()
    await setTimeout(0)
    speak(job)
    expect(await result).toEqual({ done: false, value: -job })
  }
  // Whoever ends it does not wait for a job that may never come.
  const waiting = results.next()
  await setTimeout(0)
  speak(4)
  await waiting
  await results.return(undefined)
})

test('a failure of the jobs comes behind the results of those before, a failure of one in its turn', async () => {
  async function* jobs() {
    yield* [1, 2, 3]
    throw new Error('no more')
  }
  const collect = async (run: (job: number) => Promise<number>) => {
    const found: number[] = []
    const failure = await (async () => {
      for await (const result of inOrder(jobs(), run, 8)) found.push(result)
    })().catch((error: Error) => error.message)
    return [found, failure]
  }
  expect(await collect(async (job) => job)).toEqual([[1, 2, 3], 'no more'])
  const second = async (job: number) => {
    if (job === 2) throw new Error('job 2')
    await setTimeout(5)
    return job
  }
  expect(await collect(second)).toEqual([[1], 'job 2'])
})
