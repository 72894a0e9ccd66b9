import { describe, expect, test } from 'vitest'
import type { GpuFacts } from '../../src/backends/backend.js'
import { oneSegment, wholeSegments } from '../../src/backends/segments.js'
import { webgpuBackend } from '../../src/backends/webgpu/webgpu.js'
import { type Dtype, newWeight, rowsOf, type Weight } from '../../src/backends/weight.js'
import { weightShapes } from '../../src/checkpoints/weight-shapes.js'
import { footprint, tokensPerRow } from '../../src/engine/footprint.js'
import { spoolBytes } from '../../src/engine/memory.js'
import { Network } from '../../src/engine/network.js'
import type { Output } from '../../src/engine/outputs.js'
import { chunkBytes, planOf, weightBytes } from '../../src/engine/plan.js'
import { joinedReads, Session } from '../../src/engine/session.js'
import { uploadWeights } from '../../src/layers/params.js'
import type { ModelSpec } from '../../src/spec.js'
import { planFor } from '../../src/tasks/compute.js'
import { dryRunText } from '../../src/tasks/dry-run.js'
import { sizeText } from '../../src/text/size.js'
import { PaperMachine } from '../backends/paper-gpu.js'
import { temporaryFolder } from '../shell/run.js'
import { randomIds, randomWeights, seeded, tinySpec } from './models.js'

const MiB = 2 ** 20
const card = (tensorBytes: number): GpuFacts => ({ name: 'a card', software: false, tensorBytes, matrices: [] })
const planOn = (spec: ModelSpec, gpu: GpuFacts, chunk?: number) =>
  planOf(spec, { device: 'webgpu', gpu, threads: 8, chunk, weights: new Map() })

/** A block of this width. */
function wideSpec(mixer: 'mamba' | 'add' | 's4d' | 'mamba2' | 'mamba3', D: number): ModelSpec {
  const spec = tinySpec(mixer)
  const inner = { kind: 'mamba', d_inner: 2 * D, d_state: 16, dt_rank: Math.ceil(D / 16), d_conv: 4 }
  const wide = {
    mamba: inner,
    add: { ...spec.blocks[0].mixer, mamba: inner },
    s4d: { kind: 's4d', d_state: 64 },
    mamba3: { kind: 'mamba3', d_inner: 2 * D, headdim: 64, n_groups: 1, d_state: 128, angles: 32, least_rate: 1e-4 },
    mamba2: { kind: 'mamba2', d_inner: 2 * D, headdim: 64, n_groups: 1, d_state: 128, d_conv: 4 },
  }[mixer]
  return { ...spec, d_embed: D, d_model: D, blocks: [{ mixer: wide, mlp: { d_hidden: D } }] }
}

/** Weights that take no memory: they all lie in the same numbers. */
function paperWeights(spec: ModelSpec, dtype: Dtype = 'f32'): Map<string, Weight> {
  const shapes = weightShapes(spec).filter(({ optional }) => !optional)
  const most = Math.max(...shapes.map(({ rows, cols }) => rows * cols))
  const all = newWeight(dtype, most, 1)
  return new Map(shapes.map(({ name, rows, cols }) => [name, { ...rowsOf(all, 0, rows * cols), rows, cols }]))
}

/** Runs ids through a session on a GPU on paper as large as the plan is for. */
async function onPaper(spec: ModelSpec, gpu: GpuFacts, ids: Int32Array, output: Output) {
  const plan = planOn(spec, gpu)
  const machine = new PaperMachine(gpu.tensorBytes)
  const backend = webgpuBackend(machine)
  const network = new Network(backend, spec, uploadWeights(backend, paperWeights(spec)))
  const session = new Session(network, { ...plan, deviceSpoolBytes: Number.POSITIVE_INFINITY, outputs: [output] })
  const slot = network.causal ? 0 : -1
  const { reads } = await session.push({ input: ids, segments: oneSegment(ids.length, 0, true, slot) })
  session.close()
  return { plan, reads, asked: machine.asked }
}

describe('the plan of a GPU', () => {
  test('takes the rows of half a gibibyte, fewer on a GPU of small tensors, and those of the processor on one that it plays', () => {
    const [narrow, wide] = [wideSpec('add', 256), wideSpec('add', 2048)]
    for (const spec of [narrow, wide]) {
      const plan = planOn(spec, card(2048 * MiB))
      expect(plan.chunk % 64).toBe(0)
      expect(chunkBytes(spec, plan) / (512 * MiB)).toBeCloseTo(1, 1)
    }
    expect(planOn(narrow, card(16 * MiB)).chunk).toBe(Math.floor((16 * MiB) / 4 / footprint(narrow).widest))
    expect(planOn(narrow, { ...card(2048 * MiB), software: true }).chunk).toBe(2048)
    const audio = { ...tinySpec('add', true), input: { kind: 'log-mel' } } as ModelSpec
    expect(planOn(audio, card(2048 * MiB)).chunk).toBe(2048 * tokensPerRow(audio))
  })

  test('lowers a chunk that was asked for to what a tensor takes, and keeps a smaller one', () => {
    const spec = wideSpec('mamba', 256)
    const most = (128 * MiB) / 4 / footprint(spec).widest
    expect(planOn(spec, card(128 * MiB), 1 << 24).chunk).toBe(Math.floor(most))
    expect(planOn(spec, card(128 * MiB), 1000).chunk).toBe(1000)
    const strided = tinySpec('mamba', true)
    expect(planOn(strided, card(5000), 1 << 24).chunk % tokensPerRow(strided)).toBe(0)
    expect(planOn(strided, card(1), 1 << 24).chunk).toBe(tokensPerRow(strided))
  })

  test('gives a sequence that should not be cut one chunk, where it fits', () => {
    const spec = wideSpec('add', 256)
    const plan = (gpu: GpuFacts) =>
      planOf(spec, { device: 'webgpu', gpu, threads: 1, uncut: 100_000, weights: new Map() }).chunk
    expect(plan(card(2048 * MiB))).toBe(100_000)
    expect(plan(card(128 * MiB))).toBeLessThan(100_000)
  })

  test('has one worker and one state, whatever the threads', () => {
    const { workers, depth, stages } = planOn(wideSpec('mamba', 256), card(128 * MiB))
    expect([workers, depth, stages]).toEqual([1, 2, [{ from: 0, to: 1 }]])
  })
})

describe('1,048,576 tokens on a GPU on paper', () => {
  const ids = new Int32Array(1_048_576)

  test.each([
    ['mamba', 2048, 128],
    ['add', 2048, 1024],
    ['s4d', 2048, 2048],
    ['mamba2', 2048, 1024],
    ['mamba3', 256, 128],
    ['mamba', 8, 128],
  ] as const)('%s, width %i, tensors of %i MiB: every buffer fits, every index is one', async (mixer, D, size) => {
    const { plan, reads, asked } = await onPaper(wideSpec(mixer, D), card(size * MiB), ids, {
      head: true,
      pool: 'mean',
    })
    expect([...reads[0].rows]).toEqual([1])
    expect(asked.dispatches).toBeGreaterThan((8 * ids.length) / plan.chunk)
    expect(asked.largest).toBeLessThanOrEqual(size * MiB)
    // The limit is used, not only kept.
    if (D === 2048 && size === 128) expect(asked.largest).toBeGreaterThan((size * MiB) / 2)
  })
})

test('weights in bfloat16 take of a GPU what they take of their file, and it is said', async () => {
  const spec = wideSpec('mamba', 2048)
  const weights = paperWeights(spec, 'bf16')
  const stored = weightBytes(weights)
  const gpu = card(2048 * MiB)
  const machine = new PaperMachine(gpu.tensorBytes)
  const backend = webgpuBackend(machine)
  const session = new Session(new Network(backend, spec, uploadWeights(backend, weights)), {
    chunk: 64,
    outputs: [{ head: true, pool: 'mean' }],
  })
  await session.push({ input: new Int32Array(60), segments: wholeSegments(Int32Array.of(0, 60)) })
  session.close()
  // Vectors, the weights of the convolution and A_log are float32.
  expect(machine.living / stored).toBeGreaterThan(1)
  expect(machine.living / stored).toBeLessThan(1.02)
  const said: string[] = []
  planFor({ spec, weights }, { device: 'webgpu', gpu, threads: 1, note: () => {}, detail: (line) => said.push(line) })
  expect(said).toEqual([expect.stringContaining(`; ${sizeText(stored)} of weights;`)])
})

describe('a spool on a GPU', () => {
  const tokens = 100_000
  const chunk = 2000
  const bothStrands: Partial<ModelSpec> = {
    head: { kind: 'tokens', tied: true },
    reverse_complement: { complement: [3, 2, 1, 0, 4], fused: true },
  }

  test.each<[string, ModelSpec]>([
    ['one strand', tinySpec('add')],
    ['both strands', { ...tinySpec('add'), ...bothStrands }],
  ])('lies there as a whole if it fits, else on the host as a whole: %s', async (_, spec) => {
    const folder = temporaryFolder()
    const spool = spoolBytes(spec, chunk, tokens)
    const ids = new Int32Array(tokens)
    /** What the GPU holds at the most, and how often something is read back from it. */
    const run = async (deviceSpoolBytes: number) => {
      const machine = new PaperMachine(128 * MiB)
      const backend = webgpuBackend(machine)
      const network = new Network(backend, spec, uploadWeights(backend, randomWeights(spec)))
      const session = new Session(network, { chunk, deviceSpoolBytes, outputs: [{ pool: 'mean' }] })
      await joinedReads(session.parts({ input: ids, segments: wholeSegments(Int32Array.of(0, tokens)) }, { folder }))
      return machine
    }
    const [there, here] = [await run(spool + 1), await run(spool)]
    expect((there.peak - here.peak) / spool).toBeGreaterThan(0.9)
    expect((there.peak - here.peak) / spool).toBeLessThanOrEqual(1)
    // Of the merged strands the last rows come back to be merged, chunk by chunk.
    expect(there.reads).toBeLessThanOrEqual(1 + (spec.reverse_complement ? 2 * (tokens / chunk) : 0))
    expect(here.reads).toBeGreaterThan(there.reads + 2 * spec.blocks.length * (tokens / chunk - 1))
  })

  test('takes no memory of the process, and the plan says where it lies', async () => {
    const spec = wideSpec('add', 256)
    const gpu = card(2048 * MiB)
    const weights = new Map()
    const options = { device: 'webgpu', gpu, threads: 8, note: () => {}, maxMemory: 2 ** 30 } as const
    const details: string[] = []
    const plan = planFor({ spec, weights }, { ...options, chunk, detail: (line) => details.push(line) })
    const linesOf = async (longest: number | null, halfSpool = false) => {
      const text = await dryRunText(spec, plan, { ...options, halfSpool }, { unit: 'bases', longest, number: 3 })
      return Object.fromEntries(text.split('\n').map((line) => line.split(/ {2,}/)))
    }
    const bytes = (longest: number) => sizeText(spoolBytes(spec, chunk, longest))
    const held = (longest: number, spool = 0) =>
      `up to ${sizeText(plan.memory.run + 12 * longest + spool)} of 1,024 MiB`
    expect(await linesOf(700_000)).toMatchObject({
      spool: `1 x ${bytes(700_000)} on the GPU`,
      memory: held(700_000),
    })
    expect((await linesOf(1_500_000)).spool).toMatch(/^1 x [\d,]+ MiB in \//)
    expect(await linesOf(700_000, true)).toMatchObject({
      spool: `1 x ${sizeText(spoolBytes(spec, chunk, 700_000, { half: true }))} in memory`,
      memory: held(700_000, spoolBytes(spec, chunk, 700_000, { half: true })),
    })
    expect((await linesOf(null)).spool).toMatch(/^of longer ones on the GPU up to 1,024 MiB, then in memory, then in /)
    expect(details[0]).toContain('; spools of up to 1,024 MiB on the GPU;')
  })
})

describe('the footprint of a chunk', () => {
  const both = { complement: [3, 2, 1, 0, 4], fused: false }
  const specs: Record<string, ModelSpec> = {
    ...Object.fromEntries(
      (['mamba', 'add', 'multiply', 'untied', 's4d', 'mamba2', 'mamba2 both', 'mamba3', 'attention'] as const).map(
        (m) => [m, tinySpec(m)],
      ),
    ),
    stem: tinySpec('mamba', true),
    'both strands': { ...tinySpec('add'), reverse_complement: both },
    'wide mlp': { ...tinySpec('mamba'), blocks: [{ ...tinySpec('mamba').blocks[1], mlp: { d_hidden: 200 } }] },
    'many labels': {
      ...tinySpec('mamba'),
      head: { kind: 'classes', labels: Array.from({ length: 999 }, (_, i) => `${i}`), pool: 'mean' },
    },
  }

  test.each(Object.entries(specs))('%s: no tensor is wider, and all together take no more', async (_, spec) => {
    const random = seeded(3)
    const { widest, together } = footprint(spec)
    const rows = 600
    const ids = randomIds(rows * tokensPerRow(spec), random)
    // Sequences of one token, which make the most rows of logits, and one long one.
    for (const lengths of [Array(ids.length).fill(1), [ids.length]]) {
      const offsets = Int32Array.from([0, ...lengths]).map((_, i) => lengths.slice(0, i).reduce((a, b) => a + b, 0))
      const rowsOf = lengths.length === 1 ? rows : ids.length
      const machine = new PaperMachine(4 * widest * rowsOf)
      const backend = webgpuBackend(machine)
      const network = new Network(backend, spec, uploadWeights(backend, randomWeights(spec)))
      const weights = machine.living
      const session = new Session(network, { chunk: ids.length, outputs: [{ head: true, pool: 'mean' }] })
      await session.push({ input: ids, segments: wholeSegments(offsets) })
      expect(machine.living).toBe(weights)
      const share = (machine.peak - weights) / (4 * together * rowsOf)
      expect(share).toBeLessThanOrEqual(1)
      if (lengths.length > 1 || spec !== specs['many labels']) expect(share).toBeGreaterThan(0.5)
    }
  })
})
