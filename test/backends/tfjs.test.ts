import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as tf from '@tensorflow/tfjs-core'
import { beforeAll, describe, expect, test } from 'vitest'
import { openReferenceBackend } from '../../src/backends/reference/index.js'
import { openTfjsBackend } from '../../src/backends/tfjs/tfjs.js'
import { exitCodes } from '../../src/errors.js'
import { openModel } from '../../src/index.js'
import { packageRoot } from '../../src/runtime/package-root.js'
import { Tape } from '../../src/training/tape.js'
import { command } from '../run-command.js'
import { longwave, temporaryFolder } from '../shell/run.js'
import { gatedDeltaCase, operations, runForward, type Values } from './operations.js'

describe('tensors that TensorFlow.js holds', () => {
  // It counts none before a backend is there.
  beforeAll(async () => (await openTfjsBackend()).close())

  const ids = Int32Array.from({ length: 40 }, (_, t) => (t * 7) % 11)

  test.each([
    ['causal, streamed', 'test/golden/hf-mamba'],
    ['bidirectional, swept', 'test/golden/caduceus-ph'],
    ['attention, experts and the gated delta rule', 'test/golden/hf-qwen3-next'],
    ['turns and the recurrence of Mamba-3', 'test/golden/ssm-mamba3'],
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

describe('in tiles of few numbers', async () => {
  const reference = openReferenceBackend()
  const chosen = [
    /^(scan|s4d|s5) .*rows (3\+32\+5|2\+65|31|4\+31|7\+1\+33) /,
    /^(ssd|gatedDelta|trapezoid) .*rows (129\+3|3\+131) /,
    /^(ssd|gatedDelta|trapezoid|turns|attention) .*rows (3\+32\+[15]|4\+31|4\+31\+17|65\+5) .*(N|K|S|width) [45] /,
  ]
  // A reverse pass is one of rows that were turned round.
  const forward = operations().filter(({ name }) => !name.includes('reverse'))
  const cases = forward.filter(({ name }) => chosen.some((pattern) => pattern.test(name)))
  test.each(cases.map((op) => [op.name, op] as const))('%s', async (_, op) => {
    const wanted = await runForward(reference, op)
    for (const tileNumbers of [1, 600, 3000]) {
      const backend = await openTfjsBackend({ tileNumbers })
      const got = await runForward(backend, op)
      for (const [name, { data }] of Object.entries(wanted)) {
        const numbers = [...data]
        const largest = numbers.reduce((max, v) => Math.max(max, Math.abs(v)), 1)
        const worst = numbers.reduce((max, v, i) => Math.max(max, Math.abs(got[name].data[i] - v)), 0)
        expect(worst, `${name}, ${tileNumbers} numbers`).toBeLessThan(4e-6 * largest)
      }
      await backend.close()
    }
  })
})

test('gated delta rule: rows of one key, whose system has powers beyond float32', async () => {
  const [T, K, V] = [64, 4, 3]
  const values = (cols: number, of: (i: number) => number): Values => ({
    rows: T,
    cols,
    data: Float64Array.from({ length: T * cols }, (_, i) => of(i)),
  })
  const op = gatedDeltaCase({ lengths: [T], H: 1, K, V })
  const same = { k: values(K, () => 0.5), beta: values(1, () => 12), dt: values(1, () => -12) }
  const inputs = { ...op.inputs, ...same }
  const backend = await openTfjsBackend()
  const got = await runForward(backend, { ...op, inputs })
  const wanted = await runForward(openReferenceBackend(), { ...op, inputs })
  for (const [i, number] of wanted.y.data.entries()) expect(got.y.data[i]).toBeCloseTo(number, 4)
  await backend.close()
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

/** A folder for NODE_PATH with a package of this name, whose main file is `code`. */
function packageFolder(name: string, code: string): string {
  const folder = temporaryFolder()
  mkdirSync(join(folder, name), { recursive: true })
  writeFileSync(join(folder, name, 'index.js'), code)
  return folder
}

/** A package that computes as tfjs-core does here, in the place of the native ones, which bring their libraries from elsewhere. */
const standIn = (name: string, isUsingGpuDevice: boolean) =>
  packageFolder(
    name,
    `const tf = require('${packageRoot}/node_modules/@tensorflow/tfjs-core')
     const { MathBackendCPU } = require('${packageRoot}/node_modules/@tensorflow/tfjs-backend-cpu')
     tf.copyRegisteredKernels('cpu', 'tensorflow')
     tf.registerBackend('tensorflow', () => Object.assign(new MathBackendCPU(), { isUsingGpuDevice: ${isUsingGpuDevice} }))
     module.exports = tf`,
  )

describe('the package', () => {
  const [gpu, processor] = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node']
  const record = `>a\n${'ACGTTGCAGC'.repeat(7)}\n`
  const classify = (NODE_PATH: string) =>
    longwave(['classify', '-q', '-d', 'tfjs', '-m', 'promoter'], {
      input: record,
      env: { LONGWAVE_TFJS: '', NODE_PATH },
    })
  const expectRefusal = async (folder: string, line: RegExp) => {
    const { code, stdout, stderr } = await classify(folder)
    expect([code, stdout.length]).toEqual([exitCodes.unavailable, 0])
    expect(stderr).toMatch(line)
    expect(stderr.trim()).not.toContain('\n')
    expect(stderr).toMatch(/install @tensorflow\/tfjs-node-gpu 4\.22 .*CUDA 11\.2 and cuDNN 8\.1.*Node 20 or 22/)
  }

  test('is missing', () => expectRefusal('', /^longwave: TensorFlow\.js is not installed: /))

  test('lacks its library, as after --ignore-scripts', () =>
    expectRefusal(
      packageFolder(gpu, 'throw new Error("tfjs_binding.node can not be found at path: x. \\nPlease run")'),
      /^longwave: @tensorflow\/tfjs-node-gpu does not run here \(tfjs_binding\.node can not be found at path: x\.\): /,
    ))

  test('lacks a package of its own', () =>
    expectRefusal(
      packageFolder(processor, 'require("long")'),
      /tfjs-node does not run here \(Cannot find module 'long'\)/,
    ))

  test('would compute on the processor though it is the one for a GPU', () =>
    expectRefusal(standIn(gpu, false), /tfjs-node-gpu does not run here \(it finds no GPU/))

  test('is there: the labels of cpu', async () => {
    const wanted = await command(['classify', '-q', '-m', 'promoter'], { input: record })
    for (const folder of [standIn(gpu, true), standIn(processor, false)]) {
      const got = await classify(folder)
      expect([got.code, got.stderr]).toEqual([0, ''])
      expect(got.stdout.toString()).toBe(wanted.stdout.toString())
    }
  })

  test('is what doctor tells of', async () => {
    const doctor = async (NODE_PATH: string) =>
      (await longwave(['doctor'], { env: { LONGWAVE_TFJS: '', NODE_PATH } })).stdout.toString()
    expect(await doctor('')).toMatch(/^backend tfjs +unavailable: TensorFlow\.js is not installed: install /m)
    expect(await doctor(standIn(gpu, true))).toMatch(/^backend tfjs +available: @tensorflow\/tfjs-node-gpu 4\.22\.0/m)
  })

  test('trains nothing: 69', async () => {
    const backend = await openTfjsBackend()
    expect(() => new Tape(backend, new Map())).toThrow(
      expect.objectContaining({
        message: expect.stringContaining('tfjs cannot train'),
        exitCode: exitCodes.unavailable,
      }),
    )
    await backend.close()
  })
})
