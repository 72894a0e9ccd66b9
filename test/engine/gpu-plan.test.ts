import { describe, expect, test } from 'vitest'
import type { GpuFacts } from '../../src/backends/backend.js'
import { oneSegment, wholeSegments } from '../../src/backends/segments.js'
import { webgpuBackend } from '../../src/backends/webgpu/webgpu.js'
import { type Dtype, newWeight, rowsOf, type Weight } from '../../src/backends/weight.js'
import { weightShapes } from '../../src/checkpoints/weight-shapes.js'
import { footprint, tokensPerRow } from '../../src/engine/footprint.js'
import { Network } from '../../src/engine/network.js'
import type { Output } from '../../src/engine/outputs.js'
import { chunkBytes, planOf, weightBytes } from '../../src/engine/plan.js'
import { Session } from '../../src/engine/session.js'
import { uploadWeights } from '../../src/layers/params.js'
import type { ModelSpec } from '../../src/spec.js'
import { planFor } from '../../src/tasks/compute.js'
import { sizeText } from '../../src/text/size.js'
import { PaperMachine } from '../backends/paper-gpu.js'
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
  const session = new Session(network, { ...plan, streamBytes: Number.POSITIVE_INFINITY, outputs: [output] })
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
