import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { type StoredTensor, writeSafetensors } from '../../src/checkpoints/safetensors-write.js'
import { packageRoot } from '../../src/runtime/package-root.js'
import { goldenModel, integerTensor, newFolder } from './folders.js'
import { writeTorch } from './torch-save.js'

const bytesPer = { F32: 4, F16: 2, BF16: 2 }

/** The shape of a golden model's tensor in a model `k` times as wide. */
function widerBy(k: number, name: string, shape: readonly number[]): number[] {
  if (/(in|out)_proj/.test(name)) return shape.map((n) => n * k)
  const last = /embedding|x_proj|lm_head/.test(name)
  return shape.map((n, i) => (i === (last ? shape.length - 1 : 0) ? n * k : n))
}

type Write = (folder: string, tensors: StoredTensor[]) => Promise<void>

const safetensors: Write = (folder, tensors) => writeSafetensors(join(folder, 'model.safetensors'), tensors)

const torch =
  (how: 'zip' | 'legacy'): Write =>
  (folder, tensors) => {
    const saved = tensors.map(({ data, ...tensor }) => ({
      ...tensor,
      data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    }))
    return writeTorch(folder, saved, how)
  }

/** A wide model like a golden one, of zeros. */
async function widened(
  golden: string,
  k: number,
  dtype: keyof typeof bytesPer,
  write: Write,
  vocabulary?: number,
): Promise<string> {
  const { config, raw, maps } = await goldenModel(golden)
  if (vocabulary !== undefined) {
    const { shape, values } = raw.get('backbone.embeddings.weight')!
    for (const name of ['backbone.embeddings.weight', 'lm_head.weight'])
      raw.set(name, { shape: [vocabulary, shape[1]], values })
  }
  const folder = await newFolder()
  const tensors = [...raw].map(([name, tensor]) => {
    const shape = widerBy(k, name, tensor.shape)
    const bytes = shape.reduce((product, n) => product * n, bytesPer[dtype])
    return { name, dtype, shape, data: new Uint8Array(bytes) }
  })
  const integers = [...maps].map(([name, map]) => integerTensor(name, map))
  await write(folder, [...tensors, ...integers])
  await writeFile(join(folder, 'config.json'), JSON.stringify(config))
  return folder
}

/** Opens a small model and then a large one: bytes that the large one holds, and by how many the process has grown at most. */
const script = `
  const { openCheckpoint } = await import(process.argv[1])
  await openCheckpoint(process.argv[2])
  const before = process.memoryUsage.rss()
  const { weights } = await openCheckpoint(process.argv[3])
  const held = new Set([...weights.values()].map(({ data }) => data.buffer))
  const bytes = [...held].reduce((sum, { byteLength }) => sum + byteLength, 0)
  console.log(JSON.stringify([bytes, process.resourceUsage().maxRSS * 1024 - before]))
`

test.each([
  ['whose channels are reversed', () => widened('caduceus-ps', 74, 'F32', safetensors), 'caduceus-ps'],
  [
    'of bfloat16 that holds its largest weight twice',
    () => widened('hf-mamba', 36, 'BF16', safetensors, 25_000),
    'hf-mamba',
  ],
  ['in a zip file of torch.save', () => widened('hf-mamba', 36, 'BF16', torch('zip'), 25_000), 'hf-mamba'],
  ['in a stream of torch.save', () => widened('hf-mamba', 36, 'BF16', torch('legacy'), 25_000), 'hf-mamba'],
] as const)('opening a model of 100 MB %s takes at most a fifth more memory than it holds', async (_, make, golden) => {
  const open = pathToFileURL(join(packageRoot, 'build/src/checkpoints/open.js')).href
  const args = ['--input-type=module', '-e', script, open, join('test/golden', golden), await make()]
  const [held, grown] = JSON.parse(execFileSync(process.execPath, args, { cwd: packageRoot, encoding: 'utf8' }))
  expect(held).toBeGreaterThan(95e6)
  expect(held).toBeLessThan(110e6)
  expect(grown / held).toBeLessThan(1.2)
  expect(grown / held).toBeGreaterThan(0.9)
})
