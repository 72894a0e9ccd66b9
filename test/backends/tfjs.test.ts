import * as tf from '@tensorflow/tfjs-core'
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { openReferenceBackend } from '../../src/backends/reference/index.js'
import { devices } from '../../src/backends/registry.js'
import { openTfjsBackend } from '../../src/backends/tfjs/tfjs.js'
import { exitCodes } from '../../src/errors.js'
import { openModel } from '../../src/index.js'
import { operations, runForward } from './operations.js'

afterEach(() => vi.unstubAllEnvs())

describe('tensors that TensorFlow.js holds', () => {
  // It counts none before a backend is there.
  beforeAll(async () => (await openTfjsBackend()).close())

  const ids = Int32Array.from({ length: 40 }, (_, t) => (t * 7) % 11)

  test.each([
    ['causal, streamed', 'test/golden/hf-mamba'],
    ['bidirectional, swept', 'test/golden/caduceus-ph'],
  ])('%s: a closed session leaves the weights, and a closed model nothing', async (_, folder) => {
    const before = tf.memory().numTensors
    const model = await openModel(folder, { device: 'tfjs', chunk: 16 })
    const weights = tf.memory().numTensors
    expect(weights).toBeGreaterThan(before + 10)
    await model.forward(ids, { logits: 'all', hidden: 'all' })
    expect(tf.memory().numTensors).toBe(weights)
    const session = model.session({ logits: 'last' })
    await session.push(ids)
    if (session.resumable) {
      const twin = await session.fork()
      await twin.push(ids)
      twin.close()
    }
    session.close()
    expect(tf.memory().numTensors).toBe(weights)
    await model.close()
    expect(tf.memory().numTensors).toBe(before)
  })

  test('an operation that fails leaves nothing', async () => {
    const backend = await openTfjsBackend()
    const [x, weight] = [backend.zeros(3, 4), backend.zeros(5, 6)]
    const before = tf.memory().numTensors
    await expect(backend.linear(x, weight)).rejects.toThrow('[5, 6] where [5, 4]')
    expect(() =>
      backend.pool(backend.columns(x, 0, 2), { ...oneRow, offsets: Int32Array.of(0, 9) }, 'mean', null),
    ).toThrow()
    expect(tf.memory().numTensors).toBe(before)
    await backend.close()
  })

  const oneRow = {
    offsets: Int32Array.of(0, 1),
    start: Float64Array.of(0),
    ends: Uint8Array.of(1),
    slot: Int32Array.of(-1),
  }
})

describe('scans in tiles of few rows', async () => {
  const reference = openReferenceBackend()
  const scans = operations().filter(({ name }) => /^(scan|s4d) .*rows (3\+32\+5|2\+65|31|4\+31|7\+1\+33) /.test(name))
  test.each(scans.map((op) => [op.name, op] as const))('%s', async (_, op) => {
    const wanted = await runForward(reference, op)
    for (const tileNumbers of [1, 600, 3000]) {
      const backend = await openTfjsBackend({ tileNumbers })
      const got = await runForward(backend, op)
      for (const [name, { data }] of Object.entries(wanted)) {
        const numbers = [...data]
        const largest = numbers.reduce((max, v) => Math.max(max, Math.abs(v)), 1)
        const worst = numbers.reduce((max, v, i) => Math.max(max, Math.abs(got[name].data[i] - v)), 0)
        expect(worst, `${name}, ${tileNumbers} numbers`).toBeLessThan(2e-6 * largest)
      }
      await backend.close()
    }
  })
})

describe('views', () => {
  test('what is written to a view of a view arrives, and its surroundings stay', async () => {
    const backend = await openTfjsBackend()
    const x = backend.upload([1, 2, 3, 4, 5, 6, 7, 8, 9], 3, 3)
    backend.write(backend.columns(backend.rows(x, 1, 3), 0, 2), [40, 50, 70, 80])
    expect([...(await backend.download(x))]).toEqual([1, 2, 3, 40, 50, 6, 70, 80, 9])
    backend.write(backend.rows(backend.reshape(x, 9, 1), 2, 4), [30, 4])
    expect([...(await backend.download(x))]).toEqual([1, 2, 30, 4, 50, 6, 70, 80, 9])
    await backend.close()
  })
})

test('without TensorFlow.js: one line that says what to install, 69', async () => {
  vi.stubEnv('LONGWAVE_TFJS', undefined)
  await expect(openTfjsBackend()).rejects.toMatchObject({
    exitCode: exitCodes.unavailable,
    message: expect.stringMatching(
      /^TensorFlow\.js is not installed: .*tfjs-node-gpu 4\.22.*CUDA 11\.2.*Node 20 or 22[^\n]*$/,
    ),
  })
  expect(await devices.tfjs.probe()).toEqual({ works: false, detail: expect.stringContaining('not installed') })
})
