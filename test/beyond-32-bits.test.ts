import { constants } from 'node:buffer'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { Backend } from '../src/backends/backend.js'
import { devices } from '../src/backends/registry.js'
import { oneSegment } from '../src/backends/segments.js'
import { pack } from '../src/engine/pack.js'
import { planOf } from '../src/engine/plan.js'
import { Session } from '../src/engine/session.js'
import { openSpool } from '../src/engine/spool.js'
import { cutsOf } from '../src/engine/sweep.js'
import { Damage } from '../src/input/audio/damage.js'
import { FrameTimes } from '../src/input/audio/frame-times.js'
import { Link } from '../src/input/audio/ogg/link.js'
import { Resampler } from '../src/input/audio/resample.js'
import { Collector } from '../src/input/dna/collector.js'
import type { RecordBatch, SequenceRecord } from '../src/input/dna/records.js'
import { callRows } from '../src/output/calls.js'
import { embeddingRows } from '../src/output/embeddings.js'
import { npy, safetensors } from '../src/output/matrix.js'
import { type Output, openOutput } from '../src/output/output.js'
import { LabelTrack } from '../src/output/report/label-track.js'
import { addTo } from '../src/runtime/digest.js'
import { Check } from '../src/tasks/check.js'
import { dryRunText } from '../src/tasks/dry-run.js'
import { settledParts } from '../src/tasks/lengths.js'
import { ResumeFolder } from '../src/tasks/resume/folder.js'
import { Recall } from '../src/tasks/resume/recall.js'
import { type Part, type Span, type SpanPiece, streamedSpans, wholeSpans, windows } from '../src/tasks/windows.js'
import { network, randomIds, randomWeights, seeded, tinySpec } from './engine/models.js'
import { writeFlac } from './input/audio/flac-writer.js'
import { chunk, decode, fmt } from './input/audio/helpers.js'
import { temporaryFolder } from './shell/run.js'

// Nothing here holds or computes what it counts: arrays, files and recordings claim to be that long.

const folder = temporaryFolder()
const beyond = [2 ** 31, 2 ** 32]
const record: SequenceRecord = { id: 'r', file: 'x.fa', line: 1 }

/** Rows of which there is nothing but their number. */
class Claimed {
  constructor(readonly length: number) {}
  subarray = (from = 0, to = this.length) => new Claimed(Math.max(0, Math.min(to, this.length) - from))
  slice = this.subarray
  set() {}
  copyWithin() {}
}
const claim = (length: number) => new Claimed(length) as unknown as Uint8Array

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = []
  for await (const item of items) all.push(item)
  return all
}

describe('records', () => {
  /** A record in parts of these lengths, and a short one after it. */
  async function* parts(lengths: number[]): AsyncGenerator<Part<Uint8Array>> {
    let offset = 0
    for (const [i, length] of lengths.entries()) {
      yield { record, offset, rows: claim(length), last: i === lengths.length - 1 }
      offset += length
    }
    yield { record: { ...record, id: 'next' }, offset: 0, rows: claim(7), last: true }
  }
  const long = [2 ** 31 - 1, 2 ** 31 - 1, 2 ** 30]
  const total = 2 ** 32 + 2 ** 30 - 2
  const placesOf = async (pieces: AsyncGenerator<SpanPiece<Uint8Array>>) =>
    (await collect(pieces)).map(({ span, rows, start, ends }) => [span.start, span.end, start, rows.length, ends])

  test('the reader counts their bases', () => {
    const out = new Collector(false, () => {})
    out.begin('r', 1)
    for (const before of beyond) {
      Reflect.get(out, 'open').offset = before - 3
      out.reserve(10)
      out.append(Buffer.from('ACGTA'), 0, 5)
      expect(out.recordLength).toBe(before + 2)
      expect(out.take()!.pieces.at(-1)).toMatchObject({ offset: before - 3, start: 0, end: 5 })
      expect(out.recordLength).toBe(before + 2)
    }
    out.end()
    expect(out.counts.bases).toBe(2 ** 32 + 2)
  })

  test('limits of their length', async () => {
    async function* batches(): AsyncGenerator<RecordBatch> {
      const piece = (offset: number, end: number, last: boolean) => ({
        codes: claim(end),
        pieces: [{ record, offset, start: 0, end, first: offset === 0, last, aborted: false }],
      })
      yield piece(0, 2 ** 31, false)
      yield piece(2 ** 31, 2 ** 31, true)
    }
    const kept = async (minLength: number, maxLength: number) => {
      const left = { tooShort: 0, tooLong: 0, empty: 0 }
      const found = await collect(settledParts(batches(), { minLength, maxLength }, false, left))
      return [found.map(({ offset, rows }) => offset + rows.length), left.tooShort, left.tooLong]
    }
    expect(await kept(2 ** 32, 2 ** 32)).toEqual([[2 ** 31, 2 ** 32], 0, 0])
    expect(await kept(2 ** 32 + 1, 2 ** 33)).toEqual([[], 1, 0])
    expect(await kept(0, 2 ** 32 - 1)).toEqual([[], 0, 1])
  })

  test('in pieces of a chunk, and whole', async () => {
    expect(await placesOf(streamedSpans(parts(long), 2 ** 31))).toEqual([
      [0, 2 ** 32 - 2, 0, 2 ** 31, false],
      [0, total, 2 ** 31, 2 ** 31, false],
      [0, total, 2 ** 32, 2 ** 30 - 2, true],
      [0, 7, 0, 7, true],
    ])
    expect(await placesOf(wholeSpans(parts(long)))).toEqual([
      [0, total, 0, total, true],
      [0, 7, 0, 7, true],
    ])
  })

  test('in windows, also far apart', async () => {
    expect(await placesOf(windows(parts(long), 2 ** 31, 2 ** 31, 0))).toEqual([
      [0, 2 ** 31, 0, 2 ** 31, true],
      [2 ** 31, 2 ** 32, 0, 2 ** 31, true],
      [2 ** 32, total, 0, 2 ** 30 - 2, true],
      [0, 7, 0, 7, true],
    ])
    expect(await placesOf(windows(parts(long), 5, 2 ** 32 + 1, 0))).toEqual([
      [0, 5, 0, 5, true],
      [2 ** 32 + 1, 2 ** 32 + 6, 0, 5, true],
      [0, 5, 0, 5, true],
    ])
  })

  test('what is too long to be held comes without rows: whole records and windows', async () => {
    const most = 2 ** 31
    expect(await placesOf(wholeSpans(parts(long), 1, most))).toEqual([
      [0, total, 0, 0, true],
      [0, 7, 0, 7, true],
    ])
    for (const [size, end] of [
      [2 ** 31 + 1, 2 ** 31 + 1],
      [2 ** 40, total],
    ])
      expect(await placesOf(windows(parts(long), size, size, 0, 1, undefined, undefined, most))).toEqual([
        [0, end, 0, 0, true],
        [0, 7, 0, 7, true],
      ])
  })
})

describe('a sequence that is held whole', () => {
  const spec = tinySpec('add')
  const plan = planOf(spec, { device: 'cpu', threads: 1, weights: randomWeights(spec), maxMemory: 2 ** 42 })
  const options = { device: 'cpu', threads: 1, note: () => {}, tmpDir: folder } as const

  test('is planned for', async () => {
    const text = await dryRunText(spec, plan, options, { unit: 'bases', longest: 3_000_000_019, number: 1 })
    expect(text).toContain('up to 3,000,000,019 bases, held whole')
    expect(text).toContain('spool      1 x 78.9 GiB in memory') // 28 bytes a base, and the states at 1.5 million cuts
    expect(text).toContain('memory     up to 112.6 GiB of 4096.0 GiB')
  })

  test('of more bases than Node has room for in an array is refused (65), in a run and before it', async () => {
    const tokens = constants.MAX_LENGTH + 1
    const line = `${tokens} bases at once are more than the ${constants.MAX_LENGTH} that Node ${process.versions.node} holds; --window reads them in pieces`
    const roomy = { ...plan, wholeBytes: Number.POSITIVE_INFINITY }
    const dry = dryRunText(spec, roomy, options, { unit: 'bases', longest: tokens, number: 1 })
    await expect(dry).rejects.toMatchObject({ exitCode: 65, message: `the longest record: ${line}` })
    const name = ({ record }: Span) => record.id
    const check = new Check({
      spec,
      wanted: {},
      plan: roomy,
      width: 1,
      unit: 'bases',
      name,
      windows: false,
      skip: false,
      note: () => {},
    })
    const span = { record, start: 0, end: tokens }
    const pieces = (async function* () {
      yield { span, rows: claim(0), start: 0, ends: true }
    })()
    await expect(collect(check.of(pieces))).rejects.toMatchObject({ exitCode: 65, message: `r: ${line}` })
  })

  test('has its rows counted until it is cut', async () => {
    for (const length of beyond.map((most) => most + 5)) {
      const input = claim(length) as unknown as Int32Array
      const [packed] = await collect(pack([{ input, note: null, start: 0, ends: true, slot: -1 }], 2048))
      expect([...packed.segments.offsets]).toEqual([0, length])
      expect([...oneSegment(length, 0, true, 0).offsets]).toEqual([0, length])
      const cuts = cutsOf(length, 2 ** 20, true)
      expect([cuts[1], cuts.at(-2), cuts.at(-1)]).toEqual([5, length - 2 ** 20, length])
    }
  })

  test('a hash takes it', () => {
    const lengths: number[] = []
    const hash = { update: (part: Uint8Array) => lengths.push(part.byteOffset, part.length) }
    addTo(hash as never, new Uint8Array(2 ** 31 + 5).subarray(2))
    expect(lengths).toEqual([2, 2 ** 30, 2 + 2 ** 30, 2 ** 30, 2 + 2 ** 31, 3])
  })
})

for (const device of ['reference', 'cpu'] as const) {
  describe(`on ${device}`, async () => {
    const backend = await devices[device].open()
    afterAll(() => backend.close())

    test.each(['mamba', 's4d'] as const)('a sequence goes on from there (%s)', async (mixer) => {
      const net = network(backend, tinySpec(mixer))
      const ids = randomIds(50, seeded(3))
      const outputs = [{}, { pool: 'max' as const }, { pool: 'mean' as const }]
      /** What is said of the last pieces of a sequence, whose state before them is that of 20 tokens. */
      const from = async (position: number) => {
        const session = new Session(net, { chunk: 16, outputs })
        await session.push({ input: ids.subarray(0, 20), segments: oneSegment(20, 0, false, 0) })
        session.restore({ ...(await session.snapshot()), positions: [position] })
        const rows: number[][] = [[], [], []]
        for (const [at, to] of [
          [20, 40],
          [40, 50],
        ]) {
          const segments = oneSegment(to - at, position + at - 20, to === 50, 0)
          const { reads } = await session.push({ input: ids.subarray(at, to), segments })
          for (const [i, { data }] of reads.entries()) rows[i].push(...data)
        }
        expect((await session.snapshot()).positions).toEqual([position + 30])
        expect((await session.save()).position).toBe(position + 30)
        session.close()
        return rows
      }
      const [all, max, mean] = await from(20)
      for (const position of beyond.map((before) => before - 10)) {
        const [allThere, maxThere, meanThere] = await from(position)
        expect([allThere, maxThere]).toEqual([all, max])
        // The same sum, of many more rows.
        for (const [i, value] of meanThere.entries()) expect((value * (position + 30)) / 50 / mean[i]).toBeCloseTo(1, 5)
      }
    })

    test('a spool', async () => {
      const spool = await openSpool(backend, { numbers: 2 ** 28 }, { folder })
      // 1 GiB of float32 (2 of float64) from one block to the next, of which nothing is written but the start.
      for (let block = 0; block < 9; block++) {
        const x = backend.upload([block, 2 * block], 1, 2)
        await spool.put(block, x)
        backend.release(x)
      }
      for (let block = 0; block < 9; block++) {
        const [x] = await spool.get(block)
        expect([...(await backend.download(x))]).toEqual([block, 2 * block])
        backend.release(x)
      }
      await spool.close()
    })
  })
}

test('tensors of the cpu backend that lie beyond 2^31 bytes', async () => {
  const random = seeded(8)
  const ids = randomIds(60, random)
  const all = async (backend: Backend) => {
    const given: number[] = []
    for (const mixer of ['mamba', 'add', 's4d'] as const) {
      const session = new Session(network(backend, tinySpec(mixer, true, true)), {
        chunk: 12,
        outputs: [{}, { pool: 'mean', head: true }],
      })
      const segments = { ...oneSegment(60, 0, true, 0), slot: Int32Array.of(-1) }
      for (const { data } of (await session.push({ input: ids, segments })).reads) given.push(...data)
    }
    return given
  }
  const [near, far] = [await devices.cpu.open(), await devices.cpu.open()]
  // Memory that is asked for and never touched.
  const before = far.zeros(2 ** 19, 1030)
  expect(await all(far)).toEqual(await all(near))
  far.release(before)
  await near.close()
  await far.close()
})

describe('outputs', () => {
  const text = async (name: string, write: (output: Output) => Promise<void>) => {
    const output = await openOutput(join(folder, name), { force: true })
    await write(output)
    await output.close()
    return readFileSync(join(folder, name), 'latin1')
  }
  const [start, end] = [2 ** 31 + 1, 2 ** 32 + 1]
  const call = { record, start, end, label: 0, score: 0.5, probabilities: Float64Array.of(0.5), windows: 1 }
  const options = { kind: 'window', dna: true, labels: ['a'], probabilities: false } as const

  test.each([
    ['tsv', 'id\tstart\tend\tlabel\tscore\nr\t2147483649\t4294967297\ta\t0.5\n'],
    ['jsonl', '{"id":"r","start":2147483649,"end":4294967297,"label":"a","score":0.5}\n'],
    ['bed', 'r\t2147483649\t4294967297\ta\t500\t.\n'],
  ] as const)('coordinates in %s', async (format, expected) => {
    const written = await text(`calls.${format}`, async (output) => {
      const rows = await callRows(format, output, options)
      await rows.write(call)
      await rows.end()
    })
    expect(written).toBe(expected)
  })

  test('coordinates of rows, and seconds', async () => {
    const rows = async (size: number, first: number) =>
      text('rows.jsonl', async (output) => {
        const writer = await embeddingRows('jsonl', output, {
          windows: true,
          seconds: false,
          span: { size, backwards: false },
        })
        await writer.write({ record, start: first, end: first + 2 * size, last: true }, Float32Array.of(1, 2), 1)
      })
    expect(await rows(5, 2 ** 32)).toBe(
      '{"id":"r","window":4294967296,"start":4294967296,"end":4294967301,"embedding":[1]}\n{"id":"r","window":4294967296,"start":4294967301,"end":4294967306,"embedding":[2]}\n',
    )
    // 2^31 ms are 25 days.
    expect(await rows(0.04, 2_147_483.68)).toContain('"start":2147483.68,"end":2147483.72,')
  })

  test('rows of a matrix', () => {
    const headers = [npy, safetensors].map((format) => Buffer.from(format.header(2 ** 33, 1024)).toString('latin1'))
    expect(headers.map((header) => header.length)).toEqual([128, 128])
    expect(headers[0]).toMatch(/'shape': \(8589934592, 1024\), } *\n$/)
    expect(JSON.parse(headers[1].slice(8)).embeddings).toEqual({
      dtype: 'F32',
      shape: [2 ** 33, 1024],
      data_offsets: [0, 2 ** 45],
    })
  })

  test('the drawing of a record', () => {
    const track = new LabelTrack(2, 1e6)
    for (let at = 0; at < 5e9; at += 1e6) track.add(at < 2e9 ? 0 : 1, 1, { record, start: at, end: at + 1e6 })
    const [drawn] = track.records(1000)
    expect([drawn.length, drawn.shareOfAll(0)]).toEqual([5e9, 0.4])
  })
})

test('--resume: a sequence that stood there is known up to there, and is another if it ends elsewhere', async () => {
  const identity = { version: '1', command: 'test', flags: {}, device: 'cpu', model: 'm', inputs: [] }
  const run = async (end: number) => {
    const open = await ResumeFolder.open(join(folder, 'resume'), identity)
    const recall = new Recall<string>(open, (note) => note)
    const said = { data: Float32Array.of(1), width: 1 }
    try {
      for (const [start, ends] of [
        [0, false],
        [end, true],
      ] as const) {
        const piece = { input: Int32Array.of(1, 2), note: 'long', start, ends, slot: 0 }
        const memory = await recall.of(piece, { rows: 2, inParts: false })
        if (!memory.known) await memory.keep(said, true)
      }
      return open.known
    } finally {
      await open.keep()
    }
  }
  expect(await run(2 ** 32 - 1)).toBe(0)
  expect(await run(2 ** 32 - 1)).toBe(2)
  await expect(run(2 ** 31 - 1)).rejects.toMatchObject({ exitCode: 73 })
})

describe('recordings', () => {
  test('samples of an RF64 file behind 4 GiB and 2^31 frames', async () => {
    const period = 99_991 // frames: a place that is wrong by a power of two holds another number
    const pattern = Buffer.alloc(2 * period)
    for (let i = 0; i < period; i++) pattern.writeInt16LE((i % 65_521) - 32_760, 2 * i)
    const block = Buffer.concat(Array(20).fill(pattern))
    const frames = 2 ** 32 + 1000
    const ds64 = Buffer.alloc(28)
    ds64.writeBigUInt64LE(BigInt(2 * frames), 8)
    const head = Buffer.concat([
      Buffer.from('RF64\xff\xff\xff\xffWAVE', 'latin1'),
      chunk('ds64', ds64),
      chunk('fmt ', fmt({ rate: 16_000 })),
      Buffer.from('data\xff\xff\xff\xff', 'latin1'),
    ])
    function* file() {
      yield head
      for (let left = 2 * frames; left > 0; left -= block.length) yield block.subarray(0, left)
    }
    for (const first of beyond) {
      const { audio, samples } = await decode(file(), { offset: first / 16_000, duration: 0.01 })
      expect(audio!.length).toBe(160)
      const expected = Array.from({ length: 160 }, (_, i) => (((first + i) % period) % 65_521) - 32_760)
      expect(Array.from(samples, (sample) => sample * 2 ** 15)).toEqual(expected)
    }
    expect((await decode(file(), { offset: (frames - 10) / 16_000 })).samples).toHaveLength(10)
  })

  test.each(beyond)('a hole in FLAC after %d samples', async (number) => {
    const channel = Array.from({ length: 1024 }, (_, i) => i)
    const { head, frames } = writeFlac([channel], { isVariable: true, first: number - 512, total: 0 })
    const { samples, warnings } = await decode([head, frames[0], ...frames.slice(2)])
    expect([...samples].map((sample) => sample * 2 ** 15)).toEqual(channel.map((i) => (i >= 256 && i < 512 ? 0 : i)))
    expect(warnings).toEqual(['test: damaged at 0.016 s: 0.016 s are read as silence'])
  })

  test.each(beyond)('a hole in Ogg after %d samples', async (number) => {
    const codec = {
      rate: 48_000,
      skip: 0,
      decode: async () => ({ rate: 48_000, channels: [new Float32Array(100).fill(1)] }),
      close: async () => {},
    }
    const link = new Link(1, codec, new Damage(), 0)
    let given = 0
    // Pages of a packet each; the third is missing.
    for (const [sequence, granule] of [
      [0, number - 100],
      [1, number],
      [3, number + 200],
    ]) {
      const page = {
        serial: 1,
        sequence,
        isFirst: false,
        isLast: false,
        isContinued: false,
        granule,
        pieces: [Buffer.of(1)],
        goesOn: false,
      }
      for await (const { channels } of link.take(page, false)) given += channels[0].length
    }
    expect(given).toBe(400)
  })

  test('times of frames from ffmpeg, and the next sample of another rate', () => {
    for (const number of beyond) {
      const times = new FrameTimes(() => {})
      times.known = number
      const said = number + 48_000
      times.take(
        `[Parsed_ashowinfo_0 @ 0x5] [info] n:1 pts:${said} pts_time:1 fmt:s16 rate:48000 nb_samples:1024 checksum:0`,
      )
      expect(times.holes).toEqual([{ at: number, samples: 48_000 }])
      const samples = Float32Array.from({ length: 300 }, (_, i) => Math.sin(i))
      const [here, there] = [new Resampler(44_100, 16_000), new Resampler(44_100, 16_000)]
      // 441 inputs are 160 outputs.
      const shift = 441 * Math.floor(number / 441)
      for (const place of ['start', 'index', 'inputs']) Reflect.set(there, place, Reflect.get(there, place) + shift)
      expect([...there.push(samples), ...there.end()]).toEqual([...here.push(samples), ...here.end()])
    }
  })
})
