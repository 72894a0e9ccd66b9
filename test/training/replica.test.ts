import { describe, expect, test } from 'vitest'
import type { Backend } from '../../src/backends/backend.js'
import { openCpuBackend } from '../../src/backends/cpu/cpu.js'
import { openWebgpuBackend, webgpuBackend } from '../../src/backends/webgpu/webgpu.js'
import { Random } from '../../src/runtime/random.js'
import type { Records } from '../../src/training/dna/records.js'
import { completeSettings } from '../../src/training/dna/settings.js'
import { classifierSpec } from '../../src/training/dna/spec.js'
import { sizeOf } from '../../src/training/gradient-sum.js'
import { initialise } from '../../src/training/initialise.js'
import { type Answer, hostTensors, Replica } from '../../src/training/replica.js'
import { gpu } from '../backends/has-gpu.js'
import { PaperMachine } from '../backends/paper-gpu.js'

const [count, length, shard] = [12, 24, 4]
const settings = completeSettings({
  ...{ layers: 2, d_model: 8, d_state: 4, bidirectional: true, pool: 'mean', epochs: 1 },
  ...{ batch: count, shard, lr: 0.01, clip: 0.05, dropout: 0.1, ema: 0.9 },
})
const spec = classifierSpec(settings, ['a', 'b'], { longest: length, shortest: length })
const weights = hostTensors(initialise(spec, 1))
const random = new Random(1)
const train: Records = {
  kind: 'dna',
  codes: Uint8Array.from({ length: count * length }, () => random.int(4)),
  offsets: Float64Array.from({ length: count + 1 }, (_, i) => i * length),
  targets: Int32Array.from({ length: count }, (_, i) => i % 2),
  targetOffsets: Int32Array.from({ length: count + 1 }, (_, i) => i),
}

/** Steps of three shards each. `shared`: their gradients lie in slots of shared memory. */
async function learn(backend: Backend, steps: number, shared: boolean) {
  const slots = shared ? new SharedArrayBuffer((4 * sizeOf(weights.values()) * count) / shard) : null
  const ema = new Map([...weights].map(([name, { data }]) => [name, data]))
  const state = { step: 0, weights, moments: new Map(), ema }
  const stop = new SharedArrayBuffer(4)
  const replica = new Replica(backend, { spec, settings, state, frozen: new Map(), train, valid: null, slots, stop })
  const norms: number[] = []
  for (let step = 0; step < steps; step++) {
    for (let s = 0; s < count / shard; s++) {
      const records = Int32Array.from({ length: shard }, (_, i) => s * shard + i)
      await replica.do({ kind: 'gradient', step, shard: s, records, total: count })
    }
    const said = await replica.do({ kind: 'update', step: step + 1, steps: 10, shards: count / shard })
    norms.push((said as Extract<Answer, { kind: 'update' }>).norm)
  }
  return { replica, norms }
}

async function stateOf(replica: Replica) {
  const { state } = (await replica.do({ kind: 'state' })) as Extract<Answer, { kind: 'state' }>
  return state
}

const devices: [name: string, open: () => Promise<Backend>][] = [['cpu', () => openCpuBackend()]]
if (gpu) devices.push(['webgpu', () => openWebgpuBackend()])

test.each(devices)(
  '%s: gradients that stay on the device give the bytes of those in shared memory',
  async (_, open) => {
    const found = []
    for (const shared of [true, false]) {
      const backend = await open()
      const { replica, norms } = await learn(backend, 3, shared)
      // It is clipped, or the norm would decide nothing.
      expect(Math.min(...norms)).toBeGreaterThan(settings.clip)
      found.push({ norms, state: await stateOf(replica) })
      await backend.close()
    }
    expect(found[1]).toEqual(found[0])
    const { ema, weights: after } = found[0].state
    for (const [name, { data }] of after) expect(ema!.get(name), name).not.toEqual(data)
  },
)

describe.skipIf(!gpu)('webgpu', () => {
  test('follows cpu: norms, weights and running means', async () => {
    const found = []
    for (const [, open] of devices) {
      const backend = await open()
      const { replica, norms } = await learn(backend, 3, false)
      const { weights, ema } = await stateOf(replica)
      const arrays = [...[...weights.values()].map(({ data }) => data), ...ema!.values()]
      found.push([...norms, ...arrays.flatMap((data) => [...data])])
      await backend.close()
    }
    expect(found[1]).toHaveLength(found[0].length)
    for (const [i, value] of found[0].entries()) expect(found[1][i]).toBeCloseTo(value, 4)
  })

  test('a gradient that is no number has a norm that is none', async () => {
    const backend = await openWebgpuBackend()
    const good = backend.upload(new Float32Array(5000).fill(1), 50, 100)
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const x = backend.upload(new Float32Array(5000).fill(1).fill(bad, 4999), 100, 50)
      expect(await backend.gradients!.globalNorm([good, x, good])).not.toBeLessThan(Number.POSITIVE_INFINITY)
    }
    expect(await backend.gradients!.globalNorm([good, good])).toBe(100)
    await backend.close()
  })
})

test('of a step on a GPU logits and one number for each parameter are read back', async () => {
  const read = async (steps: number) => {
    const machine = new PaperMachine(2 ** 20)
    await learn(webgpuBackend(machine), steps, false)
    return { reads: machine.reads, bytes: machine.bytesRead }
  }
  const [two, five] = [await read(2), await read(5)]
  const shards = count / shard
  expect(five.reads - two.reads).toBe(3 * (shards + 1))
  expect(five.bytes - two.bytes).toBe(3 * 4 * (2 * count + weights.size))
})
