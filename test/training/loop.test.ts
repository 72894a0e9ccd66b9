import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { deserialize } from 'node:v8'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newWeight } from '../../src/backends/weight.js'
import { openCheckpoint } from '../../src/checkpoints/open.js'
import { Random } from '../../src/runtime/random.js'
import type { Records } from '../../src/training/dna/records.js'
import { completeSettings } from '../../src/training/dna/settings.js'
import { classifierSpec } from '../../src/training/dna/spec.js'
import { initialise } from '../../src/training/initialise.js'
import { type TrainProgress, type TrainRun, train } from '../../src/training/loop.js'
import { trainableNames } from '../../src/training/parts.js'
import { stateMark } from '../../src/training/run-files.js'

/** Random DNA; the records of class 1 hold GATTACA somewhere. */
function motifRecords(count: number, length: number, seed: number): Records {
  const random = new Random(seed)
  const motif = [2, 0, 3, 3, 0, 1, 0]
  const codes = Uint8Array.from({ length: count * length }, () => random.int(4))
  const labels = Int32Array.from({ length: count }, (_, i) => i % 2)
  for (let i = 0; i < count; i++)
    if (labels[i] === 1) codes.set(motif, i * length + random.int(length - motif.length + 1))
  const offsets = Float64Array.from({ length: count + 1 }, (_, i) => i * length)
  return { kind: 'dna', codes, offsets, targets: labels, targetOffsets: Int32Array.from(offsets.keys()) }
}

const given = {
  layers: 1,
  d_model: 16,
  d_state: 4,
  stem: [{ window: 8, stride: 2, d_out: 16 }],
  d_embed: 4,
  pool: 'max',
  batch: 16,
  shard: 4,
  lr: 0.01,
  dropout: 0.1,
  head_dropout: 0.1,
  substitutions: 0.02,
  label_smoothing: 0.05,
  ema: 0.9,
  epochs: 2,
}

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'longwave-train-'))
})
afterAll(() => rm(folder, { recursive: true }))

function makeRun(
  name: string,
  settings: Record<string, unknown>,
  records: number,
  more: Partial<TrainRun> = {},
): TrainRun {
  const complete = completeSettings({ ...given, ...settings })
  const spec = classifierSpec(complete, ['without', 'with'], { longest: 32, shortest: 32 })
  const weights = initialise(spec, complete.seed)
  return {
    out: join(folder, name),
    spec,
    weights,
    trainable: [...weights.keys()],
    settings: complete,
    train: motifRecords(records, 32, 1),
    valid: motifRecords(64, 32, 2),
    device: 'cpu',
    threads: 1,
    provenance: {},
    card: {},
    ...more,
  }
}

const weightsOf = (name: string) => readFile(join(folder, name, 'model.safetensors'))

describe('training', () => {
  it('gives the same bytes with one thread and with two, and other bytes with another seed', async () => {
    const settings = { bidirectional: true, strand: 'symmetric' }
    await train(makeRun('one', settings, 80, { threads: 1 }))
    await train(makeRun('two', settings, 80, { threads: 2 }))
    await train(makeRun('seed', { ...settings, seed: 2 }, 80, { threads: 2 }))
    expect((await weightsOf('two')).equals(await weightsOf('one'))).toBe(true)
    expect((await weightsOf('seed')).equals(await weightsOf('one'))).toBe(false)
  })

  it('gives up the step at hand, the first one too, and goes on to the same bytes', async () => {
    await train(makeRun('never stopped', {}, 32))
    const cut = (stop: AbortController, onProgress?: TrainRun['onProgress']) =>
      train(makeRun('given up', {}, 32, { signal: stop.signal, onProgress }))
    const stop = new AbortController()
    const before = new AbortController()
    before.abort()
    expect(await cut(before)).toMatchObject({ finished: false, step: 0 })
    // The gradient of the step behind it is under way then.
    const during = ({ step }: TrainProgress) => step === 2 && setImmediate(() => stop.abort())
    expect(await cut(stop, during)).toMatchObject({ finished: false, step: 2 })
    expect(await cut(new AbortController())).toMatchObject({ finished: true, step: 4 })
    expect((await weightsOf('given up')).equals(await weightsOf('never stopped'))).toBe(true)
  })

  it('goes on after an interruption to the same bytes', async () => {
    await train(makeRun('straight', {}, 80))
    const stop = new AbortController()
    const onProgress = ({ step }: TrainProgress) => {
      if (step === 3) stop.abort()
    }
    const cut = await train(makeRun('cut', {}, 80, { signal: stop.signal, onProgress }))
    expect(cut).toMatchObject({ finished: false, step: 3 })
    await expect(train(makeRun('cut', { lr: 0.02 }, 80))).rejects.toThrow(
      /another settings\.lr \(0\.01 there, 0\.02 here\)/,
    )
    const steps: number[] = []
    const whole = await train(makeRun('cut', {}, 80, { onProgress: ({ step }) => steps.push(step) }))
    expect(steps[0]).toBe(4)
    expect(whole).toMatchObject({ finished: true, step: 10 })
    expect((await weightsOf('cut')).equals(await weightsOf('straight'))).toBe(true)
    const lines = (await readFile(join(folder, 'cut', 'train-log.jsonl'), 'utf8')).trim().split('\n')
    expect(lines.map((line) => JSON.parse(line).epoch)).toEqual([1, 2])
    await expect(stat(join(folder, 'cut', 'checkpoint'))).rejects.toThrow(/ENOENT/)
    await expect(train(makeRun('cut', {}, 80))).rejects.toThrow(/already holds a model/)
  })

  const mamba2 = { kind: 'mamba2', d_inner: 32, headdim: 8, n_groups: 1, d_state: 6, d_conv: 4 }
  it.each([
    ['Mamba', {}],
    ['Mamba-2', { mixer: { ...mamba2, norm: { eps: 1e-5, groups: 2, before_gate: false } } }],
  ])('%s learns whether a motif is there, and writes a model that opens', async (name, mixer) => {
    let accuracy = 0
    const run = makeRun(name, { ...mixer, epochs: 8, dropout: 0, head_dropout: 0, metric: 'accuracy' }, 480, {
      threads: 2,
      onProgress: ({ valid }) => {
        if (valid && 'accuracy' in valid) accuracy = Math.max(accuracy, valid.accuracy)
      },
    })
    const { best, calibration } = await train(run)
    expect(accuracy).toBeGreaterThan(0.9)
    expect(best?.score).toBe(accuracy)
    const { spec } = await openCheckpoint(run.out)
    const { temperature } = calibration!
    expect(spec).toEqual(JSON.parse(JSON.stringify({ ...run.spec, head: { ...run.spec.head, temperature } })))
  })

  it('keeps frozen weights to the bit, in the model alone, and goes on with them and the rates of parts to the same bytes', async () => {
    const frozenRun = (name: string, more: Partial<TrainRun> = {}) => {
      const run = makeRun(name, { epochs: 2, part_lr: { head: 0.05 } }, 32, more)
      // As a checkpoint stores them.
      const { rows, cols, data } = run.weights.get('stem.0.weight')!
      const half = newWeight('bf16', rows, cols)
      half.data.set(new Uint16Array(data.buffer).filter((_, i) => i % 2 === 1))
      const weights = new Map(run.weights).set('stem.0.weight', half)
      return { ...run, weights, trainable: trainableNames([...weights.keys()], '0', 1) }
    }
    const run = frozenRun('frozen')
    await train(run)
    const { weights } = await openCheckpoint(run.out)
    for (const [name, weight] of weights)
      expect(isDeepStrictEqual(weight, run.weights.get(name)), name).toBe(/^(embedding|stem)/.test(name))

    const stop = new AbortController()
    await train(frozenRun('thawed', { signal: stop.signal, onProgress: () => stop.abort() }))
    const { state } = deserialize(
      (await readFile(join(folder, 'thawed', 'checkpoint', 'state'))).subarray(stateMark.length),
    )
    expect([...state.weights.keys()]).toEqual(run.trainable)
    expect([...state.moments.keys()]).toEqual(run.trainable)
    const other = frozenRun('thawed')
    other.weights.get('embedding.weight')!.data[0] += 1
    await expect(train(other)).rejects.toThrow(/holds an unfinished run with another frozen \(/)
    await train(frozenRun('thawed'))
    expect((await weightsOf('thawed')).equals(await weightsOf('frozen'))).toBe(true)
    const plain = frozenRun('plain')
    await train({ ...plain, settings: { ...plain.settings, part_lr: undefined } })
    expect((await weightsOf('plain')).equals(await weightsOf('frozen'))).toBe(false)
  })

  it('ends early when the validation no longer gets better, with the temperature of the best, also after a cut', async () => {
    const settings = { epochs: 50, lr: 0, patience: 2 }
    const result = await train(makeRun('patience', settings, 32))
    expect(result).toMatchObject({ finished: true, step: 6, best: { step: 2 } })
    const stop = new AbortController()
    const onProgress = ({ step }: TrainProgress) => {
      if (step === 3) stop.abort()
    }
    const cut = await train(makeRun('patience cut', settings, 32, { signal: stop.signal, onProgress }))
    expect(cut).toEqual({ ...result, finished: false, step: 3 })
    expect(await train(makeRun('patience cut', settings, 32))).toEqual(result)
    expect((await openCheckpoint(join(folder, 'patience cut'))).spec.head).toMatchObject({
      temperature: result.calibration!.temperature,
    })
  })

  it('has no temperature without validation records', async () => {
    const run = makeRun('no valid', { epochs: 1 }, 32, { valid: null })
    expect(await train(run)).toEqual({ finished: true, step: 2, best: null })
    expect((await openCheckpoint(run.out)).spec.head).toEqual(run.spec.head)
  })

  it('stops with a clear error when the loss is no number', async () => {
    const run = makeRun('nan', {}, 32)
    run.weights.get('head.bias')!.data.fill(Number.NaN)
    await expect(train(run)).rejects.toThrow(/training diverged: the loss of step 1 is NaN/)
    await expect(stat(run.out)).rejects.toThrow(/ENOENT/)
  })

  it('stops before a weight or gradient that is no finite number is saved', async () => {
    const saved = makeRun('overflow', { clip: 1e8, weight_decay: 9.9, lr: 9.9, warmup: 0, epochs: 200, ema: 0 }, 32)
    const stop = new AbortController()
    let steps = 0
    const onProgress = ({ step }: TrainProgress) => {
      steps = step
      if (step === 1) stop.abort()
    }
    await train({ ...saved, valid: null, onProgress, signal: stop.signal })
    const state = await readFile(join(saved.out, 'checkpoint', 'state'))
    await expect(train({ ...saved, valid: null, onProgress })).rejects.toMatchObject({
      message: expect.stringMatching(
        /^training diverged: the (loss|gradient|weight) of step \d+ is -?(NaN|Infinity); a lower lr/,
      ),
      exitCode: 1,
    })
    expect(steps).toBeGreaterThan(1)
    expect((await readFile(join(saved.out, 'checkpoint', 'state'))).equals(state)).toBe(true)
  })
})
