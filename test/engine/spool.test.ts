import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { devices } from '../../src/backends/registry.js'
import { wholeSegments } from '../../src/backends/segments.js'
import type { Network } from '../../src/engine/network.js'
import type { Output } from '../../src/engine/outputs.js'
import { Session } from '../../src/engine/session.js'
import { openSpool } from '../../src/engine/spool.js'
import type { ModelSpec } from '../../src/spec.js'
import { temporaryFolder } from '../shell/run.js'
import { network, randomIds, seeded, tinySpec } from './models.js'

const folder = temporaryFolder()
/** As Caduceus-PS: logits of the bases, on both strands. */
const both: Partial<ModelSpec> = {
  head: { kind: 'tokens', tied: true },
  reverse_complement: { complement: [3, 2, 1, 0, 4], fused: true },
}

for (const device of ['reference', 'cpu'] as const) {
  describe(`a spool in a file on ${device}`, async () => {
    const backend = await devices[device].open()
    afterAll(() => backend.close())

    test('gives back what was put last, in any order, of several tensors in a block', async () => {
      const spool = await openSpool(backend, { numbers: 12 }, { folder })
      expect(readdirSync(folder)).toEqual([])
      const put = async (block: number, from: number) => {
        const [a, b] = [backend.upload([from, from + 1, from + 2], 1, 3), backend.upload([from / 3, from, 7, 8], 2, 2)]
        await spool.put(block, a, b)
        backend.release(a, b)
      }
      const get = async (block: number) => {
        const [a, b] = await spool.get(block)
        const numbers = [...(await backend.download(a)), ...(await backend.download(b))]
        backend.release(a, b)
        return numbers.map((value) => Number(value.toFixed(4)))
      }
      for (const block of [0, 4, 2, 1, 3]) await put(block, block)
      spool.expect(2)
      expect(await get(2)).toEqual([2, 3, 4, 0.6667, 2, 7, 8])
      spool.expect(1) // but the next one asked for is another
      expect(await get(4)).toEqual([4, 5, 6, 1.3333, 4, 7, 8])
      await put(4, 9)
      await put(1, 30)
      expect(await get(4)).toEqual([9, 10, 11, 3, 9, 7, 8])
      expect(await get(1)).toEqual([30, 31, 32, 10, 30, 7, 8])
      await spool.close()
    })

    test('as float16: the residual stream is rounded, the same whatever the cut and the place', async () => {
      for (const spec of [tinySpec('add', true), { ...tinySpec('untied'), ...both }]) {
        const net = network(backend, spec)
        const ids = randomIds(131, seeded(37))
        const exact = (await partsOf(net, 6000, ids, {}))[0]
        const rounded = (await partsOf(net, 60, ids, {}, undefined, true)).flat()
        const worst = Math.max(...rounded.map((value, i) => Math.abs(value - exact[i])))
        expect(worst).toBeGreaterThan(1e-5)
        expect(worst).toBeLessThan(2e-2)
        expect((await partsOf(net, 12, ids, {}, folder, true)).flat()).toEqual(rounded)
        // What fits a chunk waits nowhere.
        expect((await partsOf(net, 6000, ids, {}, folder, true))[0]).toEqual(exact)
      }
    })

    const specs = (['add', 'multiply', 'untied'] as const).flatMap((mixer) => [
      { name: mixer, spec: tinySpec(mixer) },
      { name: `${mixer}, stem`, spec: tinySpec(mixer, true) },
      { name: `${mixer}, both strands`, spec: { ...tinySpec(mixer), ...both } },
    ])
    for (const { name, spec } of specs) {
      test(`${name}: the bytes of one chunk, in parts`, async () => {
        const net = network(backend, spec)
        const random = seeded(29)
        for (const length of device === 'cpu' ? [13, 61, 131, 132] : [61]) {
          const ids = randomIds(length, random)
          for (const output of outputsOf(net)) {
            const [expected] = await partsOf(net, 6000, ids, output)
            for (const chunk of [6, 12, 60]) {
              const parts = await partsOf(net, chunk, ids, output, folder)
              expect(parts.flat()).toEqual(expected)
              if (!output.pool && length > chunk) expect(parts.length).toBe(Math.ceil(length / chunk))
              if (output.pool) expect(parts.length).toBe(1)
            }
          }
        }
        expect(readdirSync(folder)).toEqual([])
      })
    }
  })
}

test('a folder that is not there is an error (73) that names it', async () => {
  const backend = await devices.cpu.open()
  const net = network(backend, tinySpec('add'))
  const missing = join(folder, 'missing')
  const failure = partsOf(net, 6, randomIds(20, seeded(1)), {}, missing)
  await expect(failure).rejects.toMatchObject({ exitCode: 73, message: expect.stringContaining(missing) })
  mkdirSync(missing)
  expect(await partsOf(net, 6, randomIds(20, seeded(1)), {}, missing)).toHaveLength(4)
  await backend.close()
})

const outputsOf = (net: Network): Output[] => [
  { head: true, pool: 'mean' },
  { pool: 'max' },
  {},
  { layer: net.blocks.length - 1 },
  { layer: 0, pool: 'last' },
]

/** What each part of a whole sequence gives. */
async function partsOf(net: Network, chunk: number, ids: Int32Array, output: Output, folder?: string, half = false) {
  const session = new Session(net, { chunk, outputs: [output], half })
  const parts: number[][] = []
  const whole = { input: ids, segments: wholeSegments(Int32Array.of(0, ids.length)) }
  for await (const [{ data }] of session.parts(whole, { folder })) parts.push([...data])
  return parts
}
