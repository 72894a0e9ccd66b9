import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { WorkerPool } from '../../src/engine/workers.js'
import { packageRoot } from '../../src/runtime/package-root.js'

const script = pathToFileURL(join(packageRoot, 'test/engine/thread-id.js'))

test('no more threads are started than there is work for', async () => {
  const pool = new WorkerPool<number, number>(script, null, 64)
  const threads = await Promise.all([1, 2, 3].map((job) => pool.run(job)))
  expect(new Set(threads).size).toBe(3)
  // Those that are free do what comes next.
  for (const job of [4, 5, 6]) expect(threads).toContain(await pool.run(job))
  expect(await pool.run(7, [], 1)).toBe(threads[1])
  await pool.close()
})

test('a job for all is done by all', async () => {
  const pool = new WorkerPool<number, number>(script, null, 3)
  expect(new Set(await pool.runAll(1)).size).toBe(3)
  await pool.close()
})
