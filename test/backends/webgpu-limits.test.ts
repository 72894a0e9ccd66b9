import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../../src/backends/backend.js'
import { openReferenceBackend } from '../../src/backends/reference/index.js'
import { oneSegment } from '../../src/backends/segments.js'
import { openWebgpuBackend } from '../../src/backends/webgpu/webgpu.js'
import { newWeight, weightOf, widened } from '../../src/backends/weight.js'
import { planOf } from '../../src/engine/plan.js'
import { Session } from '../../src/engine/session.js'
import { exitCodes } from '../../src/errors.js'
import type { ModelSpec } from '../../src/spec.js'
import { network, randomIds, seeded, tinySpec } from '../engine/models.js'
import { gpu } from './has-gpu.js'
import { operations, resultGradients, runBackward, runForward, values } from './operations.js'

const thrownBy = (work: () => unknown) => {
  try {
    return work()
  } catch (error) {
    return error
  }
}

/** On a GPU that is taken for one of small tensors. */
describe.skipIf(!gpu)('webgpu with small tensors', () => {
  const tensorBytes = 2048
  let [whole, small] = [] as unknown as [Backend, Backend]
  beforeAll(async () => {
    whole = await openWebgpuBackend({ scan: 'sequential' })
    small = await openWebgpuBackend({ scan: 'sequential', tensorBytes })
  })
  afterAll(async () => {
    await small.close()
    await whole.close()
  })

  it('multiplies by a weight that lies in several', async () => {
    const [T, I, O] = [3, 40, 130]
    const [x, w, bias, residual] = [values(T, I), values(O, I), values(1, O), values(T, O)]
    expect(4 * w.data.length).toBeGreaterThan(5 * tensorBytes)
    const product = async (b: Backend) => {
      const put = ({ data, rows, cols }: typeof x) => b.upload(data, rows, cols)
      const weight = b.weight(weightOf(O, I, w.data), 'w')
      const y = await b.linear(put(x), weight, { bias: put(bias), residual: put(residual), activation: 'silu' })
      b.release(weight)
      return b.download(y)
    }
    expect(await product(small)).toEqual(await product(whole))
  })

  it.each(['f32', 'f16', 'bf16'] as const)('looks rows up in one of %s that lies in several', async (dtype) => {
    const table = newWeight(dtype, 300, 15)
    for (let i = 0; i < table.data.length; i++) table.data[i] = i // of halves the bits
    const ids = Int32Array.of(299, 0, 33, 34, 35, 299, 150, 67, 68)
    const look = async (b: Backend) => b.download(b.embedRows(ids, b.weight(table, 'table')))
    const wanted = [...ids].flatMap((id) => [...widened(table).subarray(15 * id, 15 * id + 15)])
    expect([...(await look(small))]).toEqual(wanted)
    expect([...(await look(whole))]).toEqual(wanted)
  })

  it('names a weight whose rows are too large', () => {
    expect(thrownBy(() => small.weight(weightOf(2, 513, new Float32Array(1026)), 'head.weight'))).toMatchObject({
      message:
        'a row of the weight head.weight takes 2052 bytes, and a tensor on this GPU 2048 at the most: use the device cpu',
      exitCode: exitCodes.unavailable,
    })
  })

  const both = { complement: [3, 2, 1, 0, 4], fused: false }
  it.each<[string, ModelSpec]>([
    ['streams', tinySpec('mamba', true)],
    ['sweeps', tinySpec('add')],
    ['reads both strands', { ...tinySpec('add'), head: { kind: 'tokens', tied: true }, reverse_complement: both }],
  ])('%s what is longer than a tensor takes, with the same result', async (_, spec) => {
    const facts = { ...gpu!.facts, tensorBytes, matrices: [] }
    const plan = planOf(spec, { device: 'webgpu', gpu: facts, threads: 1, weights: new Map() })
    const ids = randomIds(250, seeded(5))
    expect(plan.chunk).toBeLessThan(ids.length / 3)
    const run = async (b: Backend, chunk: number) => {
      const net = network(b, spec)
      const outputs = [{ head: true, pool: 'mean' } as const, { layer: 1 }]
      const session = new Session(net, { chunk, deviceSpoolBytes: plan.deviceSpoolBytes, outputs })
      const slot = net.causal ? 0 : -1
      const { reads } = await session.push({ input: ids, segments: oneSegment(ids.length, 0, true, slot) })
      session.close()
      return reads
    }
    expect(await run(small, plan.chunk)).toEqual(await run(whole, 600))
  })
})

/** Bytes that one piece of rows takes, and two do not. */
describe.skipIf(!gpu)('webgpu takes gradients piece by piece, with the same result:', () => {
  const cases: [name: string, kibibytes: number, tolerance: number][] = [
    ['scan forward rows 3+259 E 137 N 4 G 1 softplus D z dtBias', 180, 0],
    ['ssd reverse rows 3+145 H 2 P 9 N 70 G 2 views', 400, 0],
    ['s4d zoh reverse rows 7+1+33 H 5 M 17 views', 64, 0],
    ['gatedDelta forward rows 3+131 H 3 G 3 K 6 V 13 views', 64, 0],
    // The rows whose scores are looked at together are added up together.
    ['attention rows 65+5 heads 3/1 width 64 window 23 views', 57, 1e-5],
  ]
  it.each(cases)('%s', async (name, kibibytes, tolerance) => {
    const op = operations().find((op) => op.name === name)!
    const dy = resultGradients(await runForward(openReferenceBackend(), op))
    const gradients = async (tensorBytes?: number) => {
      const b = await openWebgpuBackend({ scan: 'sequential', tensorBytes })
      const found = await runBackward(b, op, dy)
      await b.close()
      return found
    }
    const [cut, whole] = [await gradients(1024 * kibibytes), await gradients()]
    for (const [input, { data }] of Object.entries(whole))
      expect(Math.max(...data.map((one, i) => Math.abs(one - cut[input].data[i]))), input).toBeLessThanOrEqual(
        tolerance,
      )
  })
})

describe.skipIf(!gpu)('webgpu', () => {
  it('compiles a pipeline once for all backends of a thread', async () => {
    const ended: number[] = []
    for (let i = 0; i < 2; i++) {
      const b = await openWebgpuBackend()
      await b.download(b.norm(b.upload([1, 2, 3], 1, 3), { kind: 'layer', eps: 1e-4 }, null, null))
      const { pipelines, bytes } = b.use!()
      expect(bytes).toBeGreaterThan(0)
      ended.push(pipelines)
      await b.close()
    }
    expect(ended).toEqual([1, 0])
  })

  it('reads across 1,048,576 rows in one call as in sixteen', async () => {
    const b = await openWebgpuBackend()
    const [T, E] = [2 ** 20, 8]
    const put = ({ data, rows, cols }: ReturnType<typeof values>) => b.upload(data, rows, cols)
    const [table, weight, A_log, D] = [put(values(5, E)), put(values(2, E)), put(values(E, 1)), put(values(1, E))]
    const ids = randomIds(T, seeded(9))
    const through = async (chunk: number) => {
      const [conv, ssm, carry] = [b.zeros(2, E), b.zeros(E, 1), b.zeros(1, 2 * E)]
      const found = []
      for (let from = 0; from < T; from += chunk) {
        const segments = oneSegment(chunk, from, from + chunk === T, 0)
        const x = b.embedRows(ids.subarray(from, from + chunk), table)
        const u = b.causalConv(x, weight, null, { segments, direction: 'forward', activation: 'silu', state: conv })
        const [B, C] = [b.columns(u, 0, 1), b.columns(u, 1, 2)]
        const scan = { u, dt: x, A_log, B, C, D, z: x, dtBias: null, softplus: true }
        const y = b.selectiveScan({ ...scan, segments, direction: 'forward' }, ssm)
        const mean = b.pool(y, segments, 'mean', carry)
        const last = b.rows(y, chunk - 1, chunk)
        if (from + chunk === T) for (const one of [mean, last, conv, ssm]) found.push(...(await b.download(one)))
        b.release(x, u, y, mean)
      }
      return found
    }
    const [whole, cut] = [await through(T), await through(T / 16)]
    expect(whole).toHaveLength(5 * E)
    expect(whole.every((v) => Number.isFinite(v) && v !== 0)).toBe(true)
    expect(whole.every((v, i) => Math.abs(v - cut[i]) < 1e-5 * Math.max(1, Math.abs(v)))).toBe(true)
    await b.close()
  })
})
