import { afterAll, describe, expect, test } from 'vitest'
import { devices } from '../../src/backends/registry.js'
import { oneSegment, type Segments, wholeSegments } from '../../src/backends/segments.js'
import { checkSpec } from '../../src/checkpoints/spec-schema.js'
import { weightShapes } from '../../src/checkpoints/weight-shapes.js'
import { Network } from '../../src/engine/network.js'
import { Session } from '../../src/engine/session.js'
import type { MixtureOfMambaSpec } from '../../src/layers/mixers/mixture-of-mamba.js'
import type { ParallelSpec } from '../../src/layers/mixers/parallel.js'
import { modalitiesOf } from '../../src/layers/mixers/registry.js'
import { uploadWeights } from '../../src/layers/params.js'
import type { MixerSpec, ModelSpec } from '../../src/spec.js'
import { completeSettings } from '../../src/training/dna/settings.js'
import { initialise } from '../../src/training/initialise.js'
import { start } from '../../src/training/prepare.js'
import { Tape } from '../../src/training/tape.js'
import { network, randomIds, randomWeights, seeded, tinySpec } from './models.js'

const mixture = tinySpec('mixture').blocks[0].mixer as MixtureOfMambaSpec
/** A mixture, and one beside attention. */
const hybrid: ModelSpec = {
  ...tinySpec('mixture'),
  blocks: [
    { mixer: mixture },
    { mixer: { kind: 'parallel', mixers: [mixture, tinySpec('attention').blocks[0].mixer] } as ParallelSpec },
  ],
}

const whole = (lengths: number[], modality: number[]): Segments => {
  const offsets = new Int32Array(lengths.length + 1)
  for (const [s, length] of lengths.entries()) offsets[s + 1] = offsets[s] + length
  return { ...wholeSegments(offsets), modality: Int32Array.from(modality) }
}

/** Final rows of a chunk; longer ones go through in pieces of `chunk`. */
async function rowsOf(net: Network, input: Int32Array, segments: Segments, chunk = 1200): Promise<Float32Array> {
  const session = new Session(net, { chunk, outputs: [{}] })
  const [{ data }] = (await session.push({ input, segments })).reads
  session.close()
  return data
}

describe.each(['reference', 'cpu'] as const)('modalities on %s', async (device) => {
  const backend = await devices[device].open()
  afterAll(() => backend.close())
  const ids = randomIds(90, seeded(5))

  test('a mixture is a Mamba, to the byte, while all segments have one modality', async () => {
    const spec = tinySpec('mixture', true, true)
    const weights = randomWeights(spec)
    const mixed = new Network(backend, spec, uploadWeights(backend, weights))
    const found = new Set<string>()
    for (const m of [0, 1, 2]) {
      const plain = tinySpec('mamba', true, true)
      const own = new Map([...weights].map(([name, weight]) => [name.replace(`mixer.${m}.`, 'mixer.'), weight]))
      const mamba = new Network(backend, plain, uploadWeights(backend, own))
      const rows = await rowsOf(mixed, ids, whole([60, 12, 18], [m, m, m]))
      expect(rows).toEqual(await rowsOf(mamba, ids, whole([60, 12, 18], [0, 0, 0])))
      found.add(rows.join())
    }
    expect(found.size).toBe(3)
  })

  test('segments that say nothing have the first', async () => {
    const net = network(backend, hybrid)
    const silent = wholeSegments(Int32Array.of(0, 90))
    expect(await rowsOf(net, ids, silent)).toEqual(await rowsOf(net, ids, whole([90], [0])))
  })

  test('several sequences of different modalities have what each has alone', async () => {
    for (const spec of [hybrid, tinySpec('mixture', true)]) {
      const net = network(backend, spec)
      const [lengths, modality] = [
        [7, 30, 1, 40, 12],
        [1, 0, 2, 1, 0],
      ]
      const together = [...(await rowsOf(net, ids, whole(lengths, modality)))]
      const alone: number[] = []
      let from = 0
      for (const [s, length] of lengths.entries()) {
        const one = whole([length], [modality[s]])
        alone.push(...(await rowsOf(net, ids.subarray(from, from + length), one)))
        from += length
      }
      expect(together).toEqual(alone)
    }
  })

  test('parts of a sequence go on from one modality to another, whatever the chunk', async () => {
    const parts = [
      [0, 24, 1],
      [24, 60, 0],
      [60, 66, 2],
      [66, 90, 1],
    ]
    const run = async (net: Network, chunk: number, of = (modality: number) => modality) => {
      const session = new Session(net, { chunk, outputs: [{}] })
      const rows: number[] = []
      for (const [from, to, modality] of parts) {
        const segments = { ...oneSegment(to - from, from, to === 90, 0), modality: Int32Array.of(of(modality)) }
        rows.push(...(await session.push({ input: ids.subarray(from, to), segments })).reads[0].data)
      }
      session.close()
      return rows
    }
    for (const spec of [hybrid, tinySpec('mixture', true)]) {
      const net = network(backend, spec)
      const expected = await run(net, 300)
      expect(await run(net, 6)).toEqual(expected)
      expect(await run(net, 18)).toEqual(expected)
      expect(await run(net, 300, () => 1)).not.toEqual(expected)
      const silent = [...(await rowsOf(net, ids, whole([90], [1]), 12))]
      expect(await run(net, 300, () => 1)).toEqual(silent)
    }
  })

  test('a sweep keeps the modality of its sequence', async () => {
    const [, both] = tinySpec('add').blocks
    const net = network(backend, { ...tinySpec('mixture'), blocks: [{ mixer: mixture }, both] })
    const expected = await rowsOf(net, ids, whole([90], [2]))
    expect(await rowsOf(net, ids, whole([90], [2]), 20)).toEqual(expected)
    expect(await rowsOf(net, ids, whole([90], [0]), 20)).not.toEqual(expected)
  })
})

test('both strands keep the modality of their sequence', async () => {
  const backend = await devices.cpu.open()
  const reverse_complement = { complement: [3, 2, 1, 0, 4], fused: false }
  const net = network(backend, { ...hybrid, head: { kind: 'tokens', tied: true }, reverse_complement })
  const ids = randomIds(60, seeded(9))
  const rows = await rowsOf(net, ids, whole([60], [2]))
  expect(await rowsOf(net, ids, whole([60], [2]), 20)).toEqual(rows)
  expect(await rowsOf(net, ids, whole([60], [1]), 20)).not.toEqual(rows)
  await backend.close()
})

test('gradients of a chunk of several modalities are those of finite differences, and none for a modality that is not there', async () => {
  const spec: ModelSpec = { ...tinySpec('mixture'), head: null }
  const ids = randomIds(16, seeded(21))
  const segments = whole([5, 1, 7, 3], [1, 0, 1, 0])
  const weights = randomWeights(spec)
  const random = seeded(23)
  const dRows = Float64Array.from({ length: 16 * spec.d_model }, () => random() - 0.5)
  const b = await devices.reference.open()
  const tensors = uploadWeights(b, weights)
  const into = new Map([...tensors.values()].map((w) => [w, b.zeros(w.rows, w.cols)]))
  const tape = new Tape(b, into)
  const { x } = await new Network(tape, spec, tensors).forward(ids, segments, null)
  await tape.backward(x, b.upload(dRows, x.rows, x.cols))

  /** A weighted sum of the final rows, one weight moved. */
  const loss = async (name: string, i: number, step: number) => {
    const { rows, cols, data } = weights.get(name)!
    const moved = Float64Array.from(data)
    moved[i] += step
    const other = new Map(tensors).set(name, b.upload(moved, rows, cols))
    const { x } = await new Network(b, spec, other).forward(ids, segments, null)
    const out = Float64Array.from(await b.download(x))
    return out.reduce((sum, value, i) => sum + value * dRows[i], 0)
  }
  const h = 1e-5
  for (const [name, tensor] of tensors) {
    const gradient = await b.download(into.get(tensor)!)
    const absent = name.includes('mixer.2.')
    expect(gradient.some((d) => d !== 0)).toBe(!absent)
    if (absent) continue
    const i = Math.floor(random() * gradient.length)
    const expected = ((await loss(name, i, h)) - (await loss(name, i, -h))) / (2 * h)
    expect(Math.abs(gradient[i] - expected), `${name}[${i}]`).toBeLessThan(1e-7 + 1e-5 * Math.abs(expected))
  }
})

test('fresh weights are those that the spec names, other ones for each modality, and of one modality those of Mamba', () => {
  const spec = tinySpec('mixture')
  const fresh = initialise(spec, 1)
  const names = weightShapes(spec).map(({ name }) => name)
  expect([...fresh.keys()].filter((name) => !names.includes(name))).toEqual([])
  const ofModality = [0, 1, 2].map((m) => fresh.get(`blocks.0.mixer.${m}.dt_proj.bias`)!.data.join())
  expect(new Set(ofModality).size).toBe(3)
  const one = { ...spec, blocks: [{ mixer: { ...mixture, modalities: 1 } as MixerSpec }] }
  const plain = { ...spec, blocks: [{ mixer: mixture.mamba as MixerSpec }] }
  const renamed = [...initialise(one, 1)].map(([name, weight]) => [name.replace('mixer.0.', 'mixer.'), weight] as const)
  expect(new Map(renamed)).toEqual(initialise(plain, 1))
})

test('training leaves the weights of modalities that it does not read as they are', () => {
  const { weights, trainable } = start(hybrid, completeSettings({}), null, 'none')
  const left = [...weights.keys()].filter((name) => !trainable.includes(name))
  const projections = ['in_proj.weight', 'x_proj.weight', 'dt_proj.weight', 'dt_proj.bias', 'out_proj.weight']
  const expected = ['blocks.0.mixer.', 'blocks.1.mixer.0.'].flatMap((mixer) =>
    ['1.', '2.'].flatMap((modality) => projections.map((name) => mixer + modality + name)),
  )
  expect(left.sort()).toEqual(expected.sort())
})

test('a spec says how many there are, and a model knows those that all of its mixtures know', () => {
  const of = (modalities: unknown) => ({ ...hybrid, blocks: [{ mixer: { ...mixture, modalities } }] })
  const refused = (modalities: unknown) => () => checkSpec(of(modalities), (what) => new Error(what))
  for (const wrong of [0, 65, 1.5, '2', undefined])
    expect(refused(wrong)).toThrow(/^spec.blocks\[0\].mixer.modalities is .*, expected a whole number from 1 to 64$/)
  expect(modalitiesOf(checkSpec(hybrid, (what) => new Error(what)))).toBe(3)
  const fewer = { mixer: { ...mixture, modalities: 2 } as MixerSpec }
  expect(modalitiesOf({ blocks: [...hybrid.blocks, fewer] })).toBe(2)
  expect(modalitiesOf(tinySpec('attention'))).toBe(1)
})
