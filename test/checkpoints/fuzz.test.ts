import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { copyFile, mkdir, open as openFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { newWeight } from '../../src/backends/weight.js'
import { summarizeModel } from '../../src/checkpoints/catalogue.js'
import { openCheckpoint } from '../../src/checkpoints/open.js'
import { saveCheckpoint } from '../../src/checkpoints/own.js'
import { LogMel } from '../../src/tokens/log-mel.js'
import { damage, damaged, hostileJson, mutated, readOrRefused, runs } from '../fuzz.js'
import { newFolder } from './folders.js'

/** Opens a model as commands do, and takes the features of a second of silence where it reads audio. */
async function open(folder: string): Promise<void> {
  const { spec } = await openCheckpoint(folder)
  if (spec.input.kind === 'log-mel') new LogMel(spec.input).push(new Float32Array(spec.input.sample_rate))
}

/** A folder of each layout, small: its config and the bytes of its weights. */
async function models() {
  const folders = ['caduceus-ps', 'hf-falcon-mamba', 'hf-mamba', 'ssm-mamba1'].map((name) => `test/golden/${name}`)
  const own = await newFolder()
  const { spec, weights } = await openCheckpoint('models/digits')
  spec.head = {
    kind: 'ctc',
    vocabulary: ['', 'a', 'b'],
    language: { order: 3, weight: 1, bonus: 0, texts: ['a b', 'b'] },
  }
  spec.blocks.splice(1)
  spec.hidden_states.listed = 1
  for (const name of weights.keys()) if (/^blocks\.[^0]/.test(name)) weights.delete(name)
  for (const [name, rows] of Object.entries({ 'head.weight': 3, 'head.bias': 1 })) {
    const cols = name === 'head.bias' ? 3 : spec.d_model
    weights.set(name, newWeight('f32', rows, cols))
  }
  await saveCheckpoint(own, spec, weights, { name: 'digits', description: 'small', licence: 'MIT', test: { wer: 0.1 } })
  return [...folders, own, 'models/promoter'].map((folder) => ({
    config: JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')),
    weights: readFileSync(join(folder, 'model.safetensors')),
  }))
}

const all = await models()
const anyModel = fc.nat(all.length - 1)

describe('a config of a stranger', () => {
  test('with a part replaced, removed or added', async () => {
    const folders = await Promise.all(
      all.map(async ({ weights }) => {
        const folder = await newFolder()
        await writeFile(join(folder, 'model.safetensors'), weights)
        return folder
      }),
    )
    const how = fc.constantFrom(
      'replace' as const,
      'replace' as const,
      'replace' as const,
      'remove' as const,
      'add' as const,
    )
    await fc.assert(
      fc.asyncProperty(anyModel, fc.nat(100_000), how, hostileJson, async (model, nth, how, json) => {
        await writeFile(join(folders[model], 'config.json'), mutated(all[model].config, nth, how, json))
        await readOrRefused(69, () => open(folders[model]))
        await readOrRefused(69, () => summarizeModel(folders[model]))
      }),
      runs(300),
    )
  })

  test('with any bytes', async () => {
    const folder = await newFolder()
    const { config, weights } = all[4]
    const text = new TextEncoder().encode(JSON.stringify(config))
    await writeFile(join(folder, 'model.safetensors'), weights)
    await fc.assert(
      fc.asyncProperty(damage(text.length), async (how) => {
        await writeFile(join(folder, 'config.json'), damaged(text, how))
        await readOrRefused(69, () => open(folder))
      }),
      runs(150),
    )
  })
})

describe('weights of a stranger', () => {
  test('with damaged bytes in and about the header', async () => {
    const folders = await Promise.all(
      all.map(async ({ config }) => {
        const folder = await newFolder()
        await writeFile(join(folder, 'config.json'), JSON.stringify(config))
        return folder
      }),
    )
    const headers = all.map(({ weights }) => 8 + weights.readUInt32LE(0))
    const any = anyModel.chain((model) => fc.tuple(fc.constant(model), damage(headers[model] + 16)))
    await fc.assert(
      fc.asyncProperty(any, async ([model, how]) => {
        await writeFile(join(folders[model], 'model.safetensors'), damaged(all[model].weights, how))
        await readOrRefused(69, () => open(folders[model]))
      }),
      runs(150),
    )
  })

  test('with a part of the header replaced, removed or added', async () => {
    const folder = await newFolder()
    const { config, weights } = all[2]
    await writeFile(join(folder, 'config.json'), JSON.stringify(config))
    const end = 8 + weights.readUInt32LE(0)
    const header = JSON.parse(weights.toString('utf8', 8, end))
    const how = fc.constantFrom('replace' as const, 'remove' as const, 'add' as const)
    await fc.assert(
      fc.asyncProperty(fc.nat(100_000), how, hostileJson, async (nth, how, json) => {
        const text = Buffer.from(mutated(header, nth, how, json))
        const length = Buffer.alloc(8)
        length.writeBigUInt64LE(BigInt(text.length))
        await writeFile(join(folder, 'model.safetensors'), Buffer.concat([length, text, weights.subarray(end)]))
        await readOrRefused(69, () => open(folder))
      }),
      runs(150),
    )
  })

  test.each([
    ['zip file', 'bin-zip-hf-mamba', 4000, 6500],
    ['stream', 'bin-legacy-ssm-mamba1', 5000, 400],
  ])('with damaged bytes at the beginning and the end of a %s of torch.save', async (_, golden, begin, end) => {
    const folder = await newFolder()
    await copyFile(`test/golden/${golden}/config.json`, join(folder, 'config.json'))
    const weights = readFileSync(`test/golden/${golden}/pytorch_model.bin`)
    const [head, middle] = [weights.subarray(0, begin), weights.subarray(begin, -end)]
    const tail = weights.subarray(-end)
    const part = fc.oneof(fc.tuple(damage(begin), fc.constant(null)), fc.tuple(fc.constant(null), damage(end)))
    await fc.assert(
      fc.asyncProperty(part, async ([first, last]) => {
        const pieces = [first ? damaged(head, first) : head, middle, last ? damaged(tail, last) : tail]
        await writeFile(join(folder, 'pytorch_model.bin'), Buffer.concat(pieces))
        await readOrRefused(69, () => open(folder))
        await readOrRefused(69, () => summarizeModel(folder))
      }),
      runs(300),
    )
  })

  test('tensors without values in every layout', async () => {
    for (const { config, weights } of all) {
      const header = JSON.parse(weights.toString('utf8', 8, 8 + weights.readUInt32LE(0)))
      for (const entry of Object.values(header) as { shape?: number[]; data_offsets: number[] }[])
        if (entry.shape)
          Object.assign(entry, { shape: [2 ** 31, ...entry.shape.slice(1).fill(0)], data_offsets: [0, 0] })
      for (const entry of Object.values(header) as { shape?: number[] }[])
        if (entry.shape?.length === 1) entry.shape = [0]
      const text = Buffer.from(JSON.stringify(header))
      const length = Buffer.alloc(8)
      length.writeBigUInt64LE(BigInt(text.length))
      const folder = await newFolder()
      await writeFile(join(folder, 'config.json'), JSON.stringify(config))
      await writeFile(join(folder, 'model.safetensors'), Buffer.concat([length, text]))
      await expect(openCheckpoint(folder)).rejects.toMatchObject({ exitCode: 69 })
    }
  })
})

test('files that are none, or never end', async () => {
  const { config, weights } = all[4]
  for (const [name, other] of [
    ['config.json', 'model.safetensors'],
    ['model.safetensors', 'config.json'],
  ]) {
    for (const make of [
      (path: string) => symlink('/dev/zero', path),
      (path: string) => mkdir(path),
      async (path: string) => void execFileSync('mkfifo', [path]),
      (path: string) => truncate(path),
    ]) {
      const folder = await newFolder()
      await writeFile(join(folder, other), other === 'config.json' ? JSON.stringify(config) : weights)
      await make(join(folder, name))
      await expect(openCheckpoint(folder)).rejects.toMatchObject({ exitCode: 69 })
    }
  }
})

/** A file of 10 GB that takes no room. */
async function truncate(path: string): Promise<void> {
  const file = await openFile(path, 'w')
  await file.truncate(10e9)
  await file.close()
}
