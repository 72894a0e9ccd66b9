import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { nativeThread } from '../../src/runtime/native-calls.js'
import { packageRoot } from '../../src/runtime/package-root.js'

const builtModule = pathToFileURL(join(packageRoot, 'build/src/runtime/native-calls.js')).href

test('a thread is settled when its call is over, and begins no other', async () => {
  const seen = new Int32Array(new SharedArrayBuffer(12)) // [calls begun, calls over, a call is to begin]
  const code = `
    const { workerData: seen } = require('node:worker_threads')
    import(${JSON.stringify(builtModule)}).then(async ({ native }) => {
      for (;;) await native(async () => {
        Atomics.add(seen, 0, 1)
        Atomics.notify(seen, 0)
        Atomics.wait(seen, 2, 0, 300) // blocks, as native code does
        Atomics.add(seen, 1, 1)
      })
    })`
  const { thread, settle, left } = nativeThread(() => new Worker(code, { eval: true, workerData: seen }))
  Atomics.wait(seen, 0, 0)
  settle()
  const [begun, over] = seen
  expect(begun).toBeGreaterThan(0)
  expect(over).toBe(begun)
  await new Promise((resolve) => setTimeout(resolve, 400))
  expect(seen[0]).toBe(begun)
  await thread.terminate()
  left()
})

test('a call comes back through the event loop of its thread, although the thread would begin others', async () => {
  const seen = new Int32Array(new SharedArrayBuffer(8)) // [calls begun, 1: the slow one has come back]
  const code = `
    const { workerData: seen } = require('node:worker_threads')
    const slow = (resolve) => setTimeout(() => resolve(Atomics.store(seen, 1, 1)), 300)
    import(${JSON.stringify(builtModule)}).then(({ native, nativeNow }) => {
      void native(() => new Promise(slow))
      const next = () => {
        try {
          nativeNow(() => Atomics.add(seen, 0, 1))
        } catch {}
        Atomics.notify(seen, 0)
        setImmediate(next)
      }
      next()
    })`
  const { thread, settle, left } = nativeThread(() => new Worker(code, { eval: true, workerData: seen }))
  Atomics.wait(seen, 0, 0)
  settle()
  const [begun, over] = seen
  expect(over).toBe(1)
  await new Promise((resolve) => setTimeout(resolve, 200))
  expect(seen[0]).toBe(begun)
  await thread.terminate()
  left()
})
