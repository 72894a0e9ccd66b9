import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { devices } from '../../src/backends/registry.js'
import { wholeSegments } from '../../src/backends/segments.js'
import { PortNeighbour } from '../../src/engine/neighbour.js'
import type { Network } from '../../src/engine/network.js'
import type { Output } from '../../src/engine/outputs.js'
import { joinedReads, Session } from '../../src/engine/session.js'
import type { ModelSpec } from '../../src/spec.js'
import { halvesOf } from '../../src/tasks/halves.js'
import { type LongSweep, openSweep, partsOf, removeSweep } from '../../src/tasks/resume/long-sweep.js'
import type { ChunkJob } from '../../src/tasks/worker.js'
import { network, randomIds, seeded, tinySpec } from '../engine/models.js'
import { temporaryFolder } from '../shell/run.js'

const folder = temporaryFolder()
const [forwardOnly] = tinySpec('mamba').blocks
const [first, second] = tinySpec('add').blocks

const models: Record<string, { spec: ModelSpec; output: Output }> = {
  'pooled, a stem': { spec: tinySpec('multiply', true), output: { pool: 'mean', head: true } },
  'all rows of a layer': { spec: tinySpec('untied'), output: { layer: 1 } },
  'a layer that reads forward only': {
    spec: {
      ...tinySpec('add'),
      blocks: [first, forwardOnly, second],
      hidden_states: { ...tinySpec('add').hidden_states, listed: 3 },
    },
    output: {},
  },
  'both strands': {
    spec: {
      ...tinySpec('add'),
      head: { kind: 'tokens', tied: true },
      reverse_complement: { complement: [3, 2, 1, 0, 4], fused: true },
    },
    output: { head: true },
  },
}

describe('a sweep goes on from what is on the disk', async () => {
  const backend = await devices.cpu.open()
  afterAll(() => backend.close())

  const cases = Object.keys(models).flatMap((name) => [false, true].map((halves) => [name, halves] as const))
  test.each(cases)('%s, in halves: %s', async (name, halves) => {
    const { spec, output } = models[name]
    const net = network(backend, spec)
    const ids = randomIds(293, seeded(41))
    const segments = wholeSegments(Int32Array.of(0, ids.length))
    const expected = (await new Session(net, { chunk: 6000, outputs: [output] }).push({ input: ids, segments })).reads

    /** All of it; `onChunk` is called when a chunk of a pass is done. */
    const run = async (sweep: LongSweep | null, onChunk = () => {}) => {
      const whole: ChunkJob = { input: ids.slice(), segments }
      const jobs = sweep?.halves === false ? [whole] : halvesOf(spec, whole)
      const reads = jobs.map(async ({ input, segments, other }, i) => {
        const neighbour = other && new PortNeighbour(other.port, other.tokens)
        const session = new Session(watched(net, onChunk), { chunk: 36, outputs: [output] })
        const kept = sweep ? partsOf(sweep)[i] : undefined
        try {
          return await joinedReads(
            session.parts({ input, segments }, { kept, neighbours: other && { [other.side]: neighbour } }),
          )
        } finally {
          neighbour?.close()
        }
      })
      return joinedReads(await Promise.all(reads))
    }

    const place = join(folder, `${name} ${halves}`)
    mkdirSync(place)
    const sweep = await openSweep(join(place, 'abc'), halves)
    expect(sweep).toMatchObject({ halves, passes: 0 })
    // A run that is killed leaves what is on the disk at that moment, with what is being written.
    const moments: string[] = []
    let chunks = 0
    const found = await run(sweep, () => {
      if (chunks++ % 7 !== 0) return
      const moment = `${place} ${moments.length}`
      cpSync(place, moment, { recursive: true })
      moments.push(moment)
    })
    expect(found).toEqual(expected)
    expect(moments.length).toBeGreaterThan(3)
    const passes: number[] = []
    const random = seeded(42)
    for (const moment of moments) {
      const copy = `${moment} damaged`
      cpSync(moment, copy, { recursive: true })
      const saved = await openSweep(join(moment, 'abc'), halves)
      passes.push(saved.passes)
      expect(await run(saved)).toEqual(expected)
      // It ends anywhere, or has a wrong bit.
      const files = readdirSync(copy)
      const file = join(copy, files[Math.floor(random() * files.length)] ?? 'none')
      if (files.length > 0) {
        const bytes = readFileSync(file)
        const at = Math.floor(random() * bytes.length)
        if (random() < 0.5 && bytes.length > 0) bytes[at] ^= 1 << Math.floor(random() * 8)
        writeFileSync(file, random() < 0.5 ? bytes : bytes.subarray(0, at))
        expect(await run(await openSweep(join(copy, 'abc'), halves)), file).toEqual(expected)
      }
      rmSync(copy, { recursive: true })
    }
    expect(passes).toEqual([...passes].sort((a, b) => a - b))
    expect(passes[passes.length - 1]).toBeGreaterThan(2)
    // On one thread a sweep in halves is begun anew.
    if (halves)
      expect(await openSweep(join(moments[moments.length - 1], 'abc'), false)).toMatchObject({
        halves: false,
        passes: 0,
      })
    await removeSweep(join(place, 'abc'))
    expect(readdirSync(place)).toEqual([])
  })
})

/** The network, which says so when it is asked for the output of a chunk. */
function watched(net: Network, onChunk: () => void): Network {
  const seen =
    <Args extends unknown[], Result>(method: (...args: Args) => Result) =>
    (...args: Args) => {
      onChunk()
      return method.apply(net, args)
    }
  return Object.assign(Object.create(net) as Network, {
    enter: seen(net.enter),
    runBlock: seen(net.runBlock),
    leave: seen(net.leave),
  })
}
