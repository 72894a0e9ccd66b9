import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { openCheckpoint } from '../../src/checkpoints/open.js'
import { openModel } from '../../src/tasks/model.js'
import { goldenModel, noise, writeModel } from '../checkpoints/folders.js'
import { command } from '../run-command.js'
import { temporaryFolder } from '../shell/run.js'

/** The layouts of PlantCaduceus (Mamba-1) and PlantCAD2 (Mamba-2): Caduceus-PS with 8 ids, of which configs tell the complements alone. */

const temporary = temporaryFolder()
const path = (name: string) => join(temporary, name)
const complement = [0, 1, 2, 6, 5, 4, 3, 7]

/** What the golden PS model becomes with 8 ids. */
async function parts() {
  const { config, raw, maps } = await goldenModel('caduceus-ps')
  for (const [key, { values }] of raw)
    if (/word_embeddings|lm_head/.test(key)) raw.set(key, { shape: [8, 16], values: values.slice(0, 8 * 16) })
  for (const key of maps.keys()) maps.set(key, Int32Array.from(complement))
  Object.assign(config, { vocab_size: 8, pad_token_id: -100, complement_map: { ...complement } })
  return [config, raw, maps] as const
}

const sequence = 'ACGTNGGCATTAGCaacgt'
const ids = Int32Array.from(sequence.toUpperCase(), (base) => [3, 4, 5, 6, 2]['ACGTN'.indexOf(base)])

beforeAll(() => writeFileSync(path('x.fa'), `>x\n${sequence}\n`))

const json = async (...args: string[]) => {
  const { code, stdout, stderr } = await command([...args, '-q', '-f', 'jsonl', path('x.fa')])
  expect([code, stderr]).toEqual([0, ''])
  return JSON.parse(stdout.toString())
}

describe.each([
  ['PlantCaduceus', async () => writeModel(...(await parts()))],
  ['PlantCAD2', async () => 'test/golden/caduceus-m2-ps'],
])('%s', (_, write) => {
  let model: string
  beforeAll(async () => {
    model = await write()
  })

  test('reads DNA by its own ids, both strands at once', async () => {
    const { spec } = await openCheckpoint(model)
    expect(spec.input).toEqual({ kind: 'tokens', tokenizer: 'plantcaduceus', vocab_size: 8 })
    const opened = await openModel(model)
    expect(await opened.tokenize(sequence)).toEqual(ids)
    const { hidden } = await opened.forward(ids, { logits: 'none', hidden: 'last' })
    const { length, embedding } = await json('embed', '-m', model)
    const D = embedding.length
    expect([length, D]).toEqual([ids.length, 2 * spec.d_model])
    for (let d = 0; d < D; d++) {
      let sum = 0
      for (let t = 0; t < ids.length; t++) sum += (hidden as Float32Array)[t * D + d]
      expect(embedding[d]).toBeCloseTo(sum / ids.length, 4)
    }
    await opened.close()
  })

  test('writes nothing', async () => {
    const { code, stderr } = await command(['generate', '-m', model, '--prompt', 'ACGT'])
    expect([code, stderr]).toEqual([2, expect.stringContaining('does not predict the next token')])
  })
})

test('with a head of classes it classifies', async () => {
  const [config, raw, maps] = await parts()
  for (const key of [...raw.keys(), ...maps.keys()]) if (key.startsWith('lm_head')) raw.delete(key)
  maps.delete('lm_head.complement_map')
  const score = noise(3 * 16, 5)
  raw.set('score.weight', { shape: [3, 16], values: score })
  const model = await writeModel({ ...config, id2label: { 0: 'leaf', 1: 'root', 2: 'seed' } }, raw, maps)
  const opened = await openModel(model)
  const { hidden } = await opened.forward(ids, { logits: 'none', hidden: 'last' })
  await opened.close()
  // As the official code has it: of the mean row, both halves, the second backwards, through one matrix.
  const mean = Array.from({ length: 32 }, (_, d) => {
    let sum = 0
    for (let t = 0; t < ids.length; t++) sum += (hidden as Float32Array)[t * 32 + d]
    return sum / ids.length
  })
  const logits = [0, 1, 2].map((label) => {
    let sum = 0
    for (let d = 0; d < 16; d++) sum += (score[label * 16 + d] * (mean[d] + mean[31 - d])) / 2
    return sum
  })
  const { probabilities } = await json('classify', '-m', model, '--probabilities')
  const { leaf, root, seed } = probabilities
  expect(Math.log(root / leaf)).toBeCloseTo(logits[1] - logits[0], 4)
  expect(Math.log(seed / leaf)).toBeCloseTo(logits[2] - logits[0], 4)
})

test('a tokenizer beside it that has other ids is an error, one that has the same is none', async () => {
  const model = await writeModel(...(await parts()))
  const vocab = { '[PAD]': 0, '[MASK]': 1, '[UNK]': 2, a: 3, c: 4, g: 5, t: 6 }
  const put = (changed: object) =>
    writeFileSync(join(model, 'tokenizer.json'), JSON.stringify({ model: { vocab: { ...vocab, ...changed } } }))
  put({})
  expect((await openCheckpoint(model)).spec.input).toMatchObject({ tokenizer: 'plantcaduceus' })
  put({ c: 5, g: 4 })
  await expect(openCheckpoint(model)).rejects.toMatchObject({
    message: expect.stringMatching(/tokenizer\.json: has the id 5 for C, expected 4$/),
    exitCode: 69,
  })
})
