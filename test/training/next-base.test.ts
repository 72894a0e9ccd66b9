import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openCheckpoint } from '../../src/checkpoints/open.js'
import { Random } from '../../src/runtime/random.js'
import type { ModelSpec } from '../../src/spec.js'
import { train } from '../../src/training/loop.js'
import { NextBaseExamples } from '../../src/training/next-base/examples.js'
import { prepareNextBase } from '../../src/training/next-base/prepare.js'
import { completeNextBase } from '../../src/training/next-base/settings.js'
import { loadWindows } from '../../src/training/next-base/windows.js'
import { objective, shareRight } from '../../src/training/objective.js'
import { randomWeights, tinySpec } from '../engine/models.js'
import { temporaryFolder } from '../shell/run.js'

const folder = temporaryFolder()
const quiet = () => {}
const codesOf = (text: string) => Uint8Array.from(text, (base) => 'ACGTN'.indexOf(base))
const textOf = (codes: ArrayLike<number>) => Array.from(codes, (code) => 'ACGTN'[code]).join('')

async function* records(...texts: string[]) {
  for (const [i, text] of texts.entries()) yield { id: `${i}`, file: 'x.fa', line: 1, codes: codesOf(text) }
}

describe('windows', () => {
  it('lie side by side in their record; those with nothing to predict are left out', async () => {
    const {
      codes,
      offsets,
      records: count,
      bases,
    } = await loadWindows('x', records('ACGTACGTAC', 'GNNNNNNNACA', 'T'), 4)
    const windows = Array.from({ length: offsets.length - 1 }, (_, i) =>
      textOf(codes.subarray(offsets[i], offsets[i + 1])),
    )
    expect(windows).toEqual(['ACGT', 'ACGT', 'AC', 'ACA'])
    expect([count, bases]).toEqual([3, 13])
    await expect(loadWindows('x.fa', records('ANNN', 'G'), 4)).rejects.toMatchObject({ exitCode: 65 })
  })

  it('come with the base behind each base, on either strand', async () => {
    const windows = await loadWindows('x', records('AACGN', 'TTTGA'), 5)
    const input = { kind: 'tokens', tokenizer: 'dna', vocab_size: 5 } as const
    const examples = new NextBaseExamples(windows, { input, strand: 'symmetric' })
    const plain = examples.plain([1, 0])
    expect(textOf(plain.input)).toBe('TTTGAAACGN')
    expect([...plain.offsets]).toEqual([0, 5, 10])
    expect(plain.targets.map((target) => [...target])).toEqual([[3, 3, 2, 0, -1], [0, 1, 2, -1, -1]]) // biome-ignore format: one line
    const seen = new Set<string>()
    for (let seed = 0; seed < 20; seed++) {
      const { input, targets } = examples.augmented([0], new Random(seed))
      seen.add(`${textOf(input)} ${targets[0]}`)
    }
    expect(seen).toEqual(new Set(['AACGN 0,1,2,-1,-1', 'NCGTT 1,2,3,3,-1']))
  })
})

describe('the loss of the next base', () => {
  const head = { kind: 'tokens', tied: true } as const
  const offsets = Int32Array.of(0, 3, 5)
  const targets = [Int32Array.of(2, 0, -1), Int32Array.of(-1, -1)]
  const logits = Float64Array.from({ length: 25 }, (_, i) => Math.sin(i))

  it('is the mean over the bases there are, with the gradient of finite differences', () => {
    const { losses, dLogits } = objective(head, { logits, offsets, targets }, 0)
    const minusLogP = (row: number, base: number) => {
      const of = logits.subarray(5 * row, 5 * row + 5)
      return Math.log(of.reduce((sum, x) => sum + Math.exp(x), 0)) - of[base]
    }
    expect(losses[0]).toBeCloseTo((minusLogP(0, 2) + minusLogP(1, 0)) / 2, 12)
    expect(losses[1]).toBe(0)
    for (const i of logits.keys()) {
      const at = (h: number) => {
        const moved = logits.slice()
        moved[i] += h
        return objective(head, { logits: moved, offsets, targets }, 0).losses.reduce((a, b) => a + b)
      }
      expect(dLogits[i]).toBeCloseTo((at(1e-6) - at(-1e-6)) / 2e-6, 7)
    }
  })

  it('counts as right the share of the bases that are the likeliest', () => {
    expect(shareRight(head, Int32Array.of(2, 1, 3), targets[0])).toBe(0.5)
    expect(shareRight(head, Int32Array.of(2, 0, 0), targets[0])).toBe(1)
    expect(shareRight(head, Int32Array.of(0, 0), targets[1])).toBe(0)
  })
})

describe('training to predict', () => {
  /** FASTA of a motif that repeats, begun anywhere, with other letters now and then. */
  function repeats(name: string, seed: number): string {
    const random = new Random(seed)
    const motif = 'ACGGTCATTAG'
    const lines = Array.from({ length: 24 }, (_, i) => {
      const start = random.int(motif.length)
      return `>r${i}\n${Array.from({ length: 60 }, (_, t) => motif[(start + t) % motif.length]).join('')}\n`
    })
    writeFileSync(join(folder, name), lines.join(''))
    return join(folder, name)
  }
  const given = { layers: 1, d_model: 24, d_state: 4, window: 60, batch: 8, shard: 4, lr: 0.02, strand: 'stranded' }

  it('learns a motif, to the same bytes with one thread and two, and the model opens and goes on', async () => {
    const files = { train: repeats('train.fa', 1), valid: repeats('valid.fa', 2) }
    const prepared = await prepareNextBase(files, { ...given, epochs: 14 }, null, 'none', quiet)
    const bytes: Buffer[] = []
    for (const threads of [1, 2]) {
      const out = join(folder, `motif-${threads}`)
      const run = { ...prepared, out, device: 'cpu' as const, card: {}, threads }
      const { best } = await train(run)
      expect(-best!.score / Math.LN2).toBeLessThan(0.5)
      bytes.push(readFileSync(join(out, 'model.safetensors')))
    }
    expect(bytes[0].equals(bytes[1])).toBe(true)
    const opened = await openCheckpoint(join(folder, 'motif-1'))
    expect(opened.spec).toEqual(JSON.parse(JSON.stringify(prepared.spec)))
    expect(opened.config.training).toMatchObject({ data: { train: { records: 24, bases: 1440 } } })
    const { weights } = await prepareNextBase(files, { window: 30 }, { name: 'motif', ...opened }, 'none', quiet)
    expect(weights).toEqual(opened.weights)
  })

  it('refuses what cannot predict', async () => {
    const wrong = [
      { bidirectional: true },
      { stem: [{ window: 2, stride: 2, d_out: 24 }] },
      { pool: 'max', metric: 'mcc' },
    ]
    for (const more of wrong)
      expect(() => completeNextBase({ ...given, ...more })).toThrow(expect.objectContaining({ exitCode: 2 }))
    const file = repeats('more.fa', 3)
    for (const [kind, tokenizer, problem] of [
      ['add', 'dna', /reads both ways/],
      ['add', 'caduceus', /reads both ways/],
      ['mamba', 'caduceus', /has another alphabet/],
      ['mamba', 'ids', /does not read bases/],
      ['mamba', 'dna', null],
    ] as const) {
      const spec: ModelSpec = {
        ...tinySpec(kind),
        input: { kind: 'tokens', tokenizer, vocab_size: tokenizer === 'dna' ? 5 : 16 },
      }
      const from = { name: kind, spec, weights: randomWeights(spec) }
      const attempt = prepareNextBase({ train: file, valid: null }, {}, from, 'none', quiet)
      if (problem) await expect(attempt).rejects.toThrow(problem)
      else expect((await attempt).spec.head).toEqual({ kind: 'tokens', tied: true })
    }
  })
})
