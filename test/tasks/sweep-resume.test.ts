import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { devices } from '../../src/backends/registry.js'
import { wholeSegments } from '../../src/backends/segments.js'
import { KeptSweep } from '../../src/engine/kept-sweep.js'
import { PortNeighbour } from '../../src/engine/neighbour.js'
import type { Network } from '../../src/engine/network.js'
import type { Output } from '../../src/engine/outputs.js'
import { planOf } from '../../src/engine/plan.js'
import { joinedReads, Session } from '../../src/engine/session.js'
import { KeptSpool } from '../../src/engine/spool.js'
import type { ModelSpec } from '../../src/spec.js'
import { halvesOf } from '../../src/tasks/halves.js'
import { predict } from '../../src/tasks/predict.js'
import { ResumeFolder } from '../../src/tasks/resume/folder.js'
import { type LongSweep, openSweep, partsOf, removeSweep } from '../../src/tasks/resume/long-sweep.js'
import { Recall } from '../../src/tasks/resume/recall.js'
import type { ChunkJob } from '../../src/tasks/worker.js'
import { network, randomIds, randomWeights, seeded, tinySpec } from '../engine/models.js'
import { temporaryFolder } from '../shell/run.js'

const folder = temporaryFolder()
const [forwardOnly] = tinySpec('mamba').blocks
const [first, second] = tinySpec('add').blocks

const models: Record<string, { spec: ModelSpec; output: Output; half?: boolean }> = {
  'pooled, a stem': { spec: tinySpec('multiply', true), output: { pool: 'mean', head: true } },
  'all rows of a layer, as float16': { spec: tinySpec('untied'), output: { layer: 1 }, half: true },
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
    const { spec, output, half } = models[name]
    const net = network(backend, spec)
    const ids = randomIds(293, seeded(41))
    const segments = wholeSegments(Int32Array.of(0, ids.length))
    const expected = (
      await new Session(net, { chunk: half ? 60 : 6000, outputs: [output], half }).push({ input: ids, segments })
    ).reads

    /** All of it; `onChunk` is called when a chunk of a pass is done. */
    const run = async (sweep: LongSweep | null, onChunk = () => {}) => {
      const whole: ChunkJob = { input: ids.slice(), segments }
      const jobs = sweep?.halves === false ? [whole] : halvesOf(spec, whole)
      const reads = jobs.map(async ({ input, segments, other }, i) => {
        const neighbour = other && new PortNeighbour(other.port, other.tokens)
        const session = new Session(watched(net, onChunk), { chunk: 36, outputs: [output], half })
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

test('two records of the same bases at a time: one of them is kept, both are answered, and no file is left', async () => {
  const { spec, output: wanted } = models['both strands']
  const weights = randomWeights(spec)
  const ids = randomIds(600, seeded(43))
  const path = join(folder, 'twice')
  const identity = { version: '1', command: 'test', flags: {}, device: 'cpu', model: 'm', inputs: [] }
  const open = await ResumeFolder.open(path, identity)
  const plan = planOf(spec, { device: 'cpu', threads: 2, chunk: 36, weights })
  open.chunk = plan.chunk
  const pieces = async function* () {
    for (const note of ['first', 'second']) yield { input: ids.slice(), note, start: 0, ends: true, slot: -1 }
  }
  const recall = new Recall<string>(open, (note) => note)
  const found: Record<string, number[]> = {}
  const seen = new Set<string>()
  const looking = setInterval(() => {
    for (const name of existsSync(path) ? readdirSync(path) : []) seen.add(name.replace(/^[0-9a-f]{32}/, 'KEY'))
  }, 1)
  for await (const { note, data } of predict(pieces(), { spec, weights }, { device: 'cpu', plan, wanted, recall }))
    found[note] = [...data]
  clearInterval(looking)
  expect(found.first).toHaveLength(600 * 5)
  expect(found.second).toEqual(found.first)
  await open.keep()
  expect(readdirSync(path).sort()).toEqual(['answers-000000', 'run.json'])
  expect([...seen]).toEqual(expect.arrayContaining(['KEY.left.one.sweep', 'KEY.right.other.stream']))
})

test('a disk that is full, or a folder that is gone, is an error (74) that names the file', async () => {
  const backend = await devices.cpu.open()
  const x = backend.zeros(1, 4)
  const spool = await KeptSpool.open(backend, '/dev/full', 4, false, [])
  await spool.put(0, x)
  await expect(spool.saved(0, 1)).rejects.toMatchObject({
    exitCode: 74,
    message: '/dev/full: cannot write or read the file: no space left on device',
  })
  await spool.close()
  const gone = join(folder, 'gone/abc')
  const kept = await KeptSweep.open(gone)
  await expect(kept.save(1, {})).rejects.toMatchObject({ exitCode: 74, message: expect.stringContaining(gone) })
  await expect(kept.spool(backend, 'stream', 4)).rejects.toMatchObject({ exitCode: 73 })
  await backend.close()
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
