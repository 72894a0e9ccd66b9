import { afterAll, describe, expect, test } from 'vitest'
import { devices } from '../../src/backends/registry.js'
import { oneSegment, wholeSegments } from '../../src/backends/segments.js'
import type { Chunk } from '../../src/engine/chunk.js'
import type { Network } from '../../src/engine/network.js'
import type { Output } from '../../src/engine/outputs.js'
import { type Piece, pack } from '../../src/engine/pack.js'
import { Session } from '../../src/engine/session.js'
import type { Pool } from '../../src/spec.js'
import { network, randomIds, seeded, tinySpec } from './models.js'

const pools: Pool[] = ['mean', 'max', 'last']
const mixers = [
  'mamba',
  'add',
  'multiply',
  'untied',
  's4d',
  's4',
  's5',
  'mamba2',
  'mamba2 both',
  'mamba3',
  'attention',
  'retention',
  'gated-delta',
] as const

for (const device of ['reference', 'cpu'] as const) {
  describe(`same bytes on ${device}`, async () => {
    const backend = await devices[device].open()
    afterAll(() => backend.close())

    for (const mixer of mixers) {
      // The others are what their operations are: once is enough.
      const shapes = ['s4', 's5', 'gated-delta', 'mamba3'].includes(mixer)
        ? ['stem']
        : device === 'cpu'
          ? ['narrow', 'stem', 'wide']
          : ['narrow', 'stem']
      for (const shape of shapes) {
        const net = network(backend, tinySpec(mixer, shape === 'stem', shape === 'wide'))
        const name = `${mixer}, ${shape}`

        test(`${name}: whatever the packing`, async () => {
          const random = seeded(7)
          const sequences = Array.from({ length: 9 }, () => randomIds(1 + Math.floor(random() ** 2 * 150), random))
          const pieces = sequences.map((input): Piece<null> => ({ input, note: null, start: 0, ends: true, slot: -1 }))
          const outputs = outputsOf(net)
          const expected: number[][] = outputs.map(() => [])
          for (const ids of sequences)
            for (const [i, read] of (await alone(net, ids, outputs)).entries()) expected[i].push(...read)
          for (const chunk of [6, 60, 300]) expect(await packed(net, pieces, chunk, outputs)).toEqual(expected)
        })

        test(`${name}: whatever else is read`, async () => {
          const ids = randomIds(31, seeded(9))
          const outputs = outputsOf(net)
          const together = await alone(net, ids, outputs)
          for (const [i, output] of outputs.entries()) expect(await alone(net, ids, [output])).toEqual([together[i]])
        })

        test(`${name}: whatever the cut`, async () => {
          const random = seeded(11)
          for (const length of [1, 61, 131]) {
            const ids = randomIds(length, random)
            const outputs = outputsOf(net)
            const expected = await alone(net, ids, outputs)
            for (let trial = 0; trial < 4; trial++) {
              const chunk = net.stride * (1 + Math.floor((random() * length) / net.stride))
              expect(await push(new Session(net, { chunk, outputs }), whole(ids))).toEqual(expected)
            }
            if (net.causal) expect(await packed(net, cut(net, ids, 0, 40, random), 6000, outputs)).toEqual(expected)
          }
        })

        if (!net.causal) continue

        test(`${name}: eight sequences streamed through one stream of chunks`, async () => {
          const random = seeded(13)
          const sequences = Array.from({ length: 8 }, () => randomIds(1 + Math.floor(random() * 120), random))
          const streams = sequences.map((ids, slot) => cut(net, ids, slot, 30, random))
          const pieces: Piece<number>[] = []
          for (let next = streams.filter(({ length }) => length > 0); next.length > 0; ) {
            pieces.push(next[Math.floor(random() * next.length)].shift()!)
            next = streams.filter(({ length }) => length > 0)
          }
          const outputs = outputsOf(net)
          const session = new Session(net, { chunk: 120, outputs, slots: 8 })
          const found = sequences.map(() => outputs.map((): number[] => []))
          let most = 0
          for await (const { notes, ...chunk } of pack(pieces, 120)) {
            most = Math.max(most, notes.length)
            for (const [i, { data, width, rows }] of (await session.push(chunk)).reads.entries()) {
              let at = 0
              for (const [s, slot] of notes.entries()) {
                found[slot][i].push(...data.subarray(at, at + rows[s] * width))
                at += rows[s] * width
              }
            }
          }
          expect(most).toBeGreaterThan(3)
          for (const [slot, ids] of sequences.entries()) expect(found[slot]).toEqual(await alone(net, ids, outputs))
          session.close()
        })
      }
    }

    test.each(['mamba', 'mamba2'] as const)(
      '%s: eight sequences of different lengths decoded together, token by token',
      async (mixer) => {
        const net = network(backend, { ...tinySpec(mixer), head: { kind: 'tokens', tied: true } })
        const random = seeded(17)
        const prompts = Array.from({ length: 8 }, (_, i) => randomIds(1 + 5 * i, random))
        const outputs: Output[] = [{ head: true, pool: 'last' }]
        const options = { chunk: 200, outputs }
        const expected: number[][] = []
        for (const prompt of prompts) {
          const session = new Session(net, options)
          expected.push(await decode(session, [prompt]).then((rows) => rows.flat(2)))
          session.close()
        }
        const together = new Session(net, { ...options, slots: 8 })
        const found = await decode(together, prompts)
        expect(prompts.map((_, slot) => found.flatMap((step) => step[slot]))).toEqual(expected)
        together.close()
      },
    )

    test('both strands of a model that reads them itself, whatever the cut', async () => {
      const both = { complement: [3, 2, 1, 0, 4], fused: false }
      const head = { kind: 'tokens' as const, tied: true }
      const net = network(backend, { ...tinySpec('add'), head, reverse_complement: both })
      const ids = randomIds(131, seeded(23))
      const outputs = outputsOf(net)
      const expected = await alone(net, ids, outputs)
      for (const chunk of [7, 64, 130])
        expect(await push(new Session(net, { chunk, outputs }), whole(ids))).toEqual(expected)
    })

    test('bins are the means of their rows, the last one of fewer', async () => {
      const net = network(backend, tinySpec('add', true))
      const ids = randomIds(131, seeded(29))
      const D = net.spec.d_model
      const [rows] = await alone(net, ids, [{}]) // 22 of 6 tokens
      const means = (size: number) =>
        Array.from({ length: Math.ceil(22 / size) * D }, (_, i) => {
          const [from, to] = [Math.floor(i / D) * size, Math.min(22, (Math.floor(i / D) + 1) * size)]
          let sum = 0
          for (let row = from; row < to; row++) sum += rows[row * D + (i % D)]
          return sum / (to - from)
        })
      for (const bin of [1, 5, 11, 22, 100]) {
        const [found] = await alone(net, ids, [{ bin }])
        for (const [i, value] of means(bin).entries()) expect(found[i]).toBeCloseTo(value, 5)
        expect(found.length).toBe(means(bin).length)
        for (const chunk of [6, 24, 66])
          expect(await push(new Session(net, { chunk, outputs: [{ bin }] }), whole(ids))).toEqual([found])
      }
    })

    test.each(['mamba', 'mamba2', 'attention'] as const)(
      '%s: a fork goes on by itself, and a saved state goes on where it stood',
      async (mixer) => {
        const net = network(backend, tinySpec(mixer))
        const ids = randomIds(90, seeded(19))
        const options = { chunk: 20, outputs: [{ pool: 'mean' as const }, {}, { bin: 7 }] }
        const first = new Session(net, options)
        const reads = async (session: Session, from: number, to: number, ends: boolean) => {
          const segments = oneSegment(to - from, from, ends, 0)
          return (await session.push({ input: ids.subarray(from, to), segments })).reads.map(({ data }) => [...data])
        }
        const one = await reads(first, 0, 50, false)
        const twin = await first.fork()
        const rest = await reads(first, 50, 90, true)
        expect(await reads(twin, 50, 90, true)).toEqual(rest)
        const [mean, rows, bins] = await alone(net, ids, options.outputs)
        expect(rest[0]).toEqual(mean)
        expect([...one[1], ...rest[1]]).toEqual(rows)
        expect([...one[2], ...rest[2]]).toEqual(bins)
        const resumed = new Session(net, { ...options, outputs: [{}] })
        const saved = new Session(net, options)
        await reads(saved, 0, 50, false)
        resumed.load(await saved.save())
        const [later] = await reads(resumed, 50, 90, true)
        // A saved state is float32.
        if (device === 'cpu') expect(later).toEqual(rest[1])
        await expect(reads(resumed, 10, 20, true)).rejects.toThrow('slot 0 is at row 90, not at 10')
        for (const session of [first, twin, resumed, saved]) session.close()
      },
    )
  })
}

function outputsOf(net: Network): Output[] {
  return [...pools.map((pool) => ({ head: true, pool })), {}, { layer: net.blocks.length - 1 }, { bin: 4 }]
}

const whole = (input: Int32Array): Chunk => ({ input, segments: wholeSegments(Int32Array.of(0, input.length)) })

/** Of each output what the chunk gave. */
async function push(session: Session, chunk: Chunk): Promise<number[][]> {
  return (await session.push(chunk)).reads.map(({ data }) => [...data])
}

const alone = (net: Network, ids: Int32Array, outputs: Output[]): Promise<number[][]> =>
  push(new Session(net, { chunk: 6000, outputs }), whole(ids))

/** The same of all chunks. */
async function packed<Note>(net: Network, pieces: Piece<Note>[], chunk: number, outputs: Output[]) {
  const session = new Session(net, { chunk, outputs })
  const found: number[][] = outputs.map(() => [])
  for await (const job of pack(pieces, chunk))
    for (const [i, { data }] of (await session.push(job)).reads.entries()) found[i].push(...data)
  session.close()
  return found
}

/** Pieces of at most `most` tokens, cut at multiples of the stride, anywhere else. */
function cut(net: Network, ids: Int32Array, slot: number, most: number, random: () => number): Piece<number>[] {
  const pieces: Piece<number>[] = []
  for (let start = 0; start < ids.length; ) {
    const to = Math.min(ids.length, start + net.stride * (1 + Math.floor((random() * most) / net.stride)))
    pieces.push({ input: ids.slice(start, to), note: slot, start, ends: to === ids.length, slot })
    start = to
  }
  return pieces
}

/** The prompts, then 12 times what is most likely: logits of each step and slot. */
async function decode(session: Session, prompts: Int32Array[]): Promise<number[][][]> {
  const steps: number[][][] = []
  let inputs = prompts
  const starts = prompts.map(() => 0)
  for (let step = 0; step < 12; step++) {
    const offsets = Int32Array.from([0, ...inputs.map((_, s) => inputs.slice(0, s + 1).flatMap((i) => [...i]).length)])
    const segments = {
      offsets,
      start: Float64Array.from(starts),
      // The answer to what stands so far.
      ends: new Uint8Array(inputs.length).fill(1),
      slot: Int32Array.from(inputs.keys()),
    }
    const { data, width } = (await session.push({ input: Int32Array.from(inputs.flatMap((i) => [...i])), segments }))
      .reads[0]
    steps.push(inputs.map((_, s) => [...data.subarray(s * width, (s + 1) * width)]))
    for (const [s, input] of inputs.entries()) starts[s] += input.length
    inputs = steps[step].map((logits) => Int32Array.of(logits.indexOf(Math.max(...logits))))
  }
  return steps
}
