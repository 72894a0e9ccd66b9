import { describe, expect, it } from 'vitest'
import type { Backend, Tensor } from '../../src/backends/backend.js'
import { openReferenceBackend } from '../../src/backends/reference/index.js'
import { Matrix } from '../../src/backends/reference/matrix.js'
import { uploadWeights } from '../../src/layers/params.js'
import { Random } from '../../src/runtime/random.js'
import type { ModelSpec, Pool } from '../../src/spec.js'
import { completeAudioSettings, speechFeatures } from '../../src/training/audio/settings.js'
import { audioSpec } from '../../src/training/audio/spec.js'
import type { Batch } from '../../src/training/data/examples.js'
import { completeSettings } from '../../src/training/dna/settings.js'
import { classifierSpec } from '../../src/training/dna/spec.js'
import { initialise } from '../../src/training/initialise.js'
import { objective } from '../../src/training/objective.js'
import { outputs } from '../../src/training/outputs.js'
import { Tape } from '../../src/training/tape.js'

const backend = openReferenceBackend()

function offsetsOf(lengths: number[]): Int32Array {
  const offsets = new Int32Array(lengths.length + 1)
  for (const [s, length] of lengths.entries()) offsets[s + 1] = offsets[s] + length
  return offsets
}

function randomBatch(lengths: number[], classes: number): Batch {
  const random = new Random(5)
  const offsets = offsetsOf(lengths)
  return {
    input: Int32Array.from({ length: offsets[lengths.length] }, () => random.int(5)),
    offsets,
    targets: lengths.map(() => Int32Array.of(random.int(classes))),
  }
}

/** Rows of three features, and texts that fit half as many. */
function randomRows(lengths: number[], V: number): Batch {
  const random = new Random(6)
  const offsets = offsetsOf(lengths)
  const target = (length: number) => Int32Array.from({ length: length >> 2 }, () => 1 + random.int(V - 1))
  return {
    input: Float32Array.from({ length: 3 * offsets[lengths.length] }, () => random.normal()),
    offsets,
    targets: lengths.map(target),
  }
}

interface Case {
  pool: Pool
  given: Record<string, unknown>
  lengths?: number[]
}

const small = { layers: 2, d_model: 4, d_state: 3, d_conv: 3, expand: 2 }
const stem = [
  { window: 3, stride: 2, d_out: 6 },
  { window: 2, stride: 1, d_out: 4 },
]
const mamba2 = { kind: 'mamba2', d_inner: 8, headdim: 2, n_groups: 2, d_state: 3, d_conv: 3, dt_limit: [0.01, null] }
const cases: Case[] = [
  { pool: 'mean', given: { bidirectional: true, mlp: 5, stem, d_embed: 3 } },
  { pool: 'max', given: { bidirectional: true, tied: false, norm: 'layer' } },
  { pool: 'last', given: { mlp: 3 } },
  { pool: 'center', given: { bidirectional: true } },
  { pool: 'last', given: { mixer: { kind: 's4d', d_state: 6 }, stem, d_embed: 3 } },
  { pool: 'mean', given: { mixer: { kind: 's4d', d_state: 4, discretisation: 'bilinear', bidirectional: true } } },
  { pool: 'mean', given: { mixer: { kind: 's5', d_state: 3, bidirectional: true, gated: true } } },
  {
    pool: 'mean',
    given: {
      mixer: {
        kind: 'bidirectional',
        mamba: { ...mamba2, norm: { eps: 1e-5, groups: 2, before_gate: false } },
        combine: 'add',
        tied: true,
      },
    },
  },
  { pool: 'last', given: { mixer: mamba2 } },
  {
    pool: 'last',
    given: { mixer: { kind: 'attention', heads: 4, kv_heads: 2, d_head: 4, rope_theta: 20, window: 3 } },
  },
  {
    pool: 'last',
    given: {
      mixer: {
        kind: 'mamba3',
        d_inner: 8,
        headdim: 2,
        n_groups: 2,
        d_state: 5,
        angles: 2,
        least_rate: 1e-4,
        norm_eps: 1e-5,
      },
    },
  },
  { pool: 'last', given: { mixer: { kind: 'retention', heads: 2, d_key: 4, d_value: 3, norm_eps: 1e-6 } } },
  {
    pool: 'last',
    given: {
      mixer: { kind: 'gated-delta', d_inner: 8, heads: 4, key_heads: 2, d_key: 3, d_conv: 2, norm_eps: 1e-6 },
    },
  },
  { pool: 'flatten', given: { bidirectional: true, stem, d_embed: 3 }, lengths: [7, 7, 7] },
]

describe('the tape', () => {
  for (const { pool, given, lengths = [7, 1, 5] } of cases)
    it(`gives the gradients of a whole model with pooling ${pool} that finite differences give`, async () => {
      const settings = completeSettings({ ...small, ...given, pool })
      await checkGradients(
        classifierSpec(settings, ['a', 'b', 'c'], { longest: lengths[0], shortest: 1 }),
        randomBatch(lengths, 3),
      )
    })

  it('gives the gradients of mixers side by side, experts beside an MLP and multipliers, that finite differences give', async () => {
    const settings = completeSettings({ ...small, mlp: 3, pool: 'mean' })
    const spec = classifierSpec(settings, ['a', 'b', 'c'], { longest: 7, shortest: 1 })
    const [block] = spec.blocks
    const given = { kind: 'attention', heads: 4, kv_heads: 2, d_head: 4, max_length: 7 }
    const attention = { ...given, rope_theta: 20, rotary: 2, qk_norm_eps: 1e-3, gated: true }
    const blocks = (['active', 'all'] as const).map((over) => ({
      ...block,
      mixer: over === 'all' ? { kind: 'parallel', mixers: [block.mixer, attention] } : block.mixer,
      moe: { experts: 3, active: 2, d_hidden: 2, over, ...(over === 'all' && { d_shared: 3 }) },
      residual_multiplier: 0.7,
    }))
    await checkGradients({ ...spec, blocks, embedding_multiplier: 3 }, randomBatch([7, 1, 5], 3))
  })

  it('gives the gradients of an audio model with a CTC head, that finite differences give', async () => {
    const settings = completeAudioSettings({ ...small, bidirectional: true, stem }, 'transcribe')
    const vocabulary = ['', ' ', 'a', 'b']
    const spec = audioSpec(settings, { ...speechFeatures, n_mels: 3 }, { kind: 'ctc', vocabulary })
    await checkGradients(spec, randomRows([19, 4, 12], vocabulary.length))
  })

  it('leaves nothing behind but the gradients, frozen or not', async () => {
    const made = new Set<Matrix>()
    const note = (result: unknown) => {
      if (result instanceof Matrix && !result.root) made.add(result)
      return result
    }
    const counted = new Proxy(backend, {
      get(target, key: keyof Backend) {
        const value = target[key]
        if (typeof value !== 'function') return value
        return (...args: never[]) => {
          const result = (value as (...args: never[]) => unknown)(...args)
          return result instanceof Promise ? result.then(note) : note(result)
        }
      },
    })
    const settings = completeSettings({ ...small, bidirectional: true, mlp: 3, stem, d_embed: 3 })
    const audio = completeAudioSettings({ ...small, bidirectional: true, stem }, 'transcribe')
    const heads: [ModelSpec, Batch][] = [
      [classifierSpec(settings, ['a', 'b'], { longest: 7, shortest: 3 }), randomBatch([7, 3], 2)],
      [
        audioSpec(audio, { ...speechFeatures, n_mels: 3 }, { kind: 'ctc', vocabulary: ['', 'a'] }),
        randomRows([9, 8], 2),
      ],
    ]
    for (const [spec, batch] of heads) await leavesNothing(spec, batch)
    async function leavesNothing(spec: ModelSpec, batch: Batch): Promise<void> {
      const weights = uploadWeights(backend, initialise(spec, 1))
      for (const trainable of [[...weights.values()], [weights.get('head.weight')!], []]) {
        const gradients = new Map(trainable.map((w) => [w, backend.zeros(w.rows, w.cols)]))
        const tape = new Tape(counted, gradients, { p: 0.5, random: new Random(1) })
        const { logits } = await outputs(tape, spec, weights, batch, { p: 0.5, random: new Random(2) })
        const dLogits = counted.upload(new Float64Array(logits.rows * logits.cols).fill(1), logits.rows, logits.cols)
        await tape.backward(logits, dLogits)
        tape.release(logits)
        expect([...made].filter((x) => !x.released)).toEqual([])
        expect(made.size).toBeGreaterThan(10)
        made.clear()
      }
    }
  })
})

async function checkGradients(spec: ModelSpec, batch: Batch): Promise<void> {
  const host = initialise(spec, 7)
  const shake = new Random(11)
  for (const { data } of host.values()) for (let i = 0; i < data.length; i++) data[i] += 0.3 * shake.normal()
  const weights = new Map([...host].map(([name, w]) => [name, backend.upload(w.data, w.rows, w.cols)]))
  const names = new Map([...weights].map(([name, tensor]) => [tensor, name]))

  const run = async (gradients: Map<Tensor, Tensor>, used: Map<string, Tensor>) => {
    const tape = new Tape(backend, gradients, { p: 0.3, random: new Random(3) })
    const { logits, offsets } = await outputs(tape, spec, used, batch, { p: 0.3, random: new Random(4) })
    const answered = { logits: await backend.download(logits), offsets, targets: batch.targets }
    const { losses, dLogits } = objective(spec.head, answered, 0.1)
    if (gradients.size > 0) await tape.backward(logits, backend.upload(dLogits, logits.rows, logits.cols))
    return losses.reduce((a, b) => a + b)
  }
  const gradients = new Map([...weights.values()].map((w) => [w, backend.zeros(w.rows, w.cols)]))
  await run(gradients, weights)

  const h = 1e-5
  const pick = new Random(13)
  for (const [tensor, gradient] of gradients) {
    const name = names.get(tensor)!
    const exact = await backend.download(gradient)
    const values = await backend.download(tensor)
    for (let probe = 0; probe < 3; probe++) {
      const i = pick.int(values.length)
      const around = []
      for (const step of [h, -h]) {
        const moved = values.slice()
        moved[i] += step
        around.push(await run(new Map(), new Map(weights).set(name, backend.upload(moved, tensor.rows, tensor.cols))))
      }
      const expected = (around[0] - around[1]) / (2 * h)
      expect(Math.abs(exact[i] - expected), `${name}[${i}]: ${exact[i]}, expected ${expected}`).toBeLessThan(
        1e-7 + 1e-5 * Math.abs(expected),
      )
    }
    if (/dt_proj|A_log|conv|head/.test(name)) expect(exact.some((d) => d !== 0)).toBe(true)
  }
}
