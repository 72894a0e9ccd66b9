import { copyFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { gpu } from './backends/has-gpu.js'
import { goldenModel, writeModel } from './checkpoints/folders.js'
import { goldenFolders, kindOf } from './golden-run/folders.js'

/**
 * The folders of `npm run test:golden`, as tests: selective scans, with their gradients, are in
 * backends/golden-kernels.test.ts, and all but `cpu`, which are slow, leave out the longest cases, `tfjs` and SwiftShader those of more
 * than 100 tokens.
 */
const longest = {
  reference: 1000,
  cpu: undefined,
  tfjs: 100,
  webgpu: gpu?.facts.name.startsWith('swiftshader') ? 100 : 1000,
}
const folders = (await goldenFolders('test/golden')).filter((folder) => !folder.includes('kernel-selscan'))

describe.each(folders.map((folder) => [basename(folder), folder]))('%s', async (_, folder) => {
  const kind = await kindOf(folder)
  if (typeof kind === 'string') throw new Error(`${folder}: ${kind}`)
  test.each(kind.backends)('%s', async (backend) => {
    const comparisons = await kind.check(folder, backend, longest[backend])
    expect(comparisons.length).toBeGreaterThan(1)
    expect(comparisons.filter(({ share }) => !(share <= 1))).toEqual([])
  })
})

test('one weight that is off by a thousandth is a miss', async () => {
  const { config, raw } = await goldenModel('hf-falcon-mamba')
  raw.get('backbone.layers.1.mixer.D')!.values[7] *= 1.001
  const folder = await writeModel(config, raw)
  for (const file of ['expected.safetensors', 'meta.json']) {
    await copyFile(join('test/golden/hf-falcon-mamba', file), join(folder, file))
  }
  const kind = await kindOf(folder)
  if (typeof kind === 'string') throw new Error(kind)
  const missed = (await kind.check(folder, 'cpu')).filter(({ share }) => !(share <= 1))
  expect(missed.map(({ what }) => what)).toContain('L300.logits')
})
