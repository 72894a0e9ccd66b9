import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { openCheckpoint } from '../../src/checkpoints/open.js'
import { saveCheckpoint } from '../../src/checkpoints/own.js'
import { packageRoot } from '../../src/runtime/package-root.js'
import { openModel } from '../../src/tasks/model.js'
import { type Config, goldenModel, newFolder, noise, type RawTensors, writeModel } from '../checkpoints/folders.js'
import { readGolden } from '../golden-run/expected.js'
import { command } from '../run-command.js'
import { temporaryFolder } from '../shell/run.js'

/** Public checkpoints with a head of classes: `...ForSequenceClassification`. */

const folder = temporaryFolder()
const path = (name: string) => join(folder, name)

async function classify(model: string, ...args: string[]) {
  const all = ['classify', '-q', '-m', model, '-f', 'json', '--probabilities', ...args]
  const { code, stdout, stderr } = await command(all)
  expect([code, stderr]).toEqual([0, ''])
  return JSON.parse(stdout.toString())
}

/** What the logits of two labels differ by. */
const difference = ({ probabilities: { no, yes } }: { probabilities: Record<string, number> }) => Math.log(yes / no)

describe.each(['caduceus-ph-cls', 'caduceus-ps-cls'])('%s', (name) => {
  const golden = join(packageRoot, 'test/golden', name)
  let model: string
  let sequence: string
  let expected: Awaited<ReturnType<typeof readGolden>>

  beforeAll(async () => {
    const { config, raw, maps } = await goldenModel(name)
    model = await writeModel({ ...config, id2label: { 0: 'no', 1: 'yes' } }, raw, maps)
    expected = await readGolden(join(golden, 'expected.safetensors'))
    // Bases and, as the tokenizer puts it, [SEP] behind them.
    const ids = [...expected.get('genesep.input_ids')!.data]
    sequence = ids.map((id) => 'ACGTN'[id - 7] ?? '').join('')
    expect([sequence.length, ids.at(-1)]).toEqual([64, 1])
    writeFileSync(path('gene.fa'), `>gene\n${sequence}\n`)
  })

  test('says of a record what the official code says of its ids, under the labels of its config', async () => {
    const [no, yes] = expected.get('genesep.logits_mean')!.data
    const [row] = await classify(model, '--strand', '+', path('gene.fa'))
    expect(row).toMatchObject({ id: 'gene', length: 64, label: yes > no ? 'yes' : 'no' })
    expect(difference(row)).toBeCloseTo(yes - no, 4)
    const [unnamed] = await classify(golden, '--strand', '+', path('gene.fa'))
    expect(Object.keys(unnamed.probabilities)).toEqual(['LABEL_0', 'LABEL_1'])
  })

  test('reads both strands unless it is told otherwise, and gives the mean of their logits', async () => {
    const [row] = await classify(model, path('gene.fa'))
    expect(await classify(model, '--chunk', '16', '-t', '2', path('gene.fa'))).toEqual([row])
    const opened = await openModel(model)
    const other = [...sequence].reverse().map((base) => 'TGCA'['ACGT'.indexOf(base)])
    const said: number[] = []
    // PS reads both strands by itself.
    for (const strand of name === 'caduceus-ph-cls' ? [sequence, other.join('')] : [sequence]) {
      const { logits } = await opened.forward(await opened.tokenize(strand))
      said.push(logits![1] - logits![0])
    }
    await opened.close()
    expect(difference(row)).toBeCloseTo(said.reduce((sum, x) => sum + x, 0) / said.length, 4)
  })

  test('is evaluated', async () => {
    writeFileSync(path('labels.tsv'), 'gene\tyes\n')
    const { code, stdout } = await command(
      ['evaluate', '-m', model, '--data', path('gene.fa'), '--labels', path('labels.tsv'), '--json'],
    ) // biome-ignore format: a list
    const [row] = await classify(model, path('gene.fa'))
    expect([code, JSON.parse(stdout.toString()).accuracy]).toMatchObject([0, row.label === 'yes' ? 1 : 0])
  })

  test('is saved in our own layout, and opens from it', async () => {
    const { spec, weights } = await openCheckpoint(model)
    const saved = await newFolder()
    await saveCheckpoint(saved, spec, weights)
    expect(await openCheckpoint(saved)).toMatchObject({ spec, weights })
  })

  test('gives embeddings that leave [SEP] out', async () => {
    const { code, stdout } = await command(
      ['embed', '-q', '-m', model, '-f', 'jsonl', '--strand', '+', path('gene.fa')],
    ) // biome-ignore format: a list
    const { embedding } = JSON.parse(stdout.toString())
    const { data, shape } = expected.get('genesep.last_hidden_state')!
    const D = shape[2]
    const mean = Array.from({ length: D }, (_, d) => {
      let sum = 0
      for (let t = 0; t < 64; t++) sum += data[t * D + d] / 64
      return sum
    })
    expect(code).toBe(0)
    for (const [d, value] of mean.entries()) expect(embedding[d]).toBeCloseTo(value, 4)
  })
})

describe('texts, by the last token', () => {
  const lines = ['Hello world', 'a genome, and what it says']
  const labels = ['bad', 'fair', 'good']
  const tokens = 424

  test.each([
    'hf-mamba',
    'hf-mamba2',
    'hf-falcon-mamba',
    'hf-jamba',
    'hf-granite-hybrid-moe',
    'hf-falcon-h1',
    'hf-qwen3-next',
  ])('%s', async (name) => {
    const { config, raw } = await goldenModel(name)
    const embedding = [...raw.keys()].find((key) => /embed(_tokens|dings?)\.weight$/.test(key))!
    const [, D] = raw.get(embedding)!.shape
    raw.set(embedding, { shape: [tokens, D], values: noise(tokens * D, 1) })
    raw.delete('lm_head.weight')
    const body = await openModel(await writeModel({ ...config, tie_word_embeddings: true }, raw))
    const score = noise(labels.length * D, 2)
    raw.set('score.weight', { shape: [labels.length, D], values: score })
    const model = await writeModel({ ...config, id2label: { ...labels } }, raw)
    copyFileSync(join(packageRoot, 'test/specimens/text/byte-fallback.json'), join(model, 'tokenizer.json'))
    const opened = await openModel(model)
    writeFileSync(path('lines.txt'), `${lines.join('\n')}\n`)
    const rows = await classify(model, '--chunk', '3', path('lines.txt'))
    expect(rows.length).toBe(lines.length)
    for (const [i, line] of lines.entries()) {
      const { hidden } = await body.forward(await opened.tokenize(line), { logits: 'none', hidden: 'last' })
      const last = (hidden as Float32Array).subarray(-D)
      const logits = labels.map((_, c) => last.reduce((sum, x, d) => sum + x * score[c * D + d], 0))
      const all = logits.reduce((sum, x) => sum + Math.exp(x), 0)
      expect(rows[i].label).toBe(labels[logits.indexOf(Math.max(...logits))])
      for (const [c, label] of labels.entries())
        expect(rows[i].probabilities[label]).toBeCloseTo(Math.exp(logits[c]) / all, 4)
    }
    await body.close()
    await opened.close()
    if (name !== 'hf-jamba') return
    writeFileSync(
      path('lines.tsv'),
      rows.map(({ label }: { label: string }, i: number) => `${i + 1}\t${label}\n`).join(''),
    )
    const files = ['--data', path('lines.txt'), '--labels', path('lines.tsv')]
    const { code, stdout } = await command(['evaluate', '-m', model, ...files, '--json'])
    expect([code, JSON.parse(stdout.toString())]).toMatchObject([0, { records: 2, accuracy: 1 }])
  })
})

test.each<[string, Config, (raw: RawTensors) => void, string]>([
  ['labels too many', { id2label: { 0: 'a', 1: 'b', 2: 'c' } }, () => {}, 'id2label is about ["0", "1", "2"], expected 0 to 1, the rows of score.weight'],
  ['labels without a number', { id2label: { a: 'a', b: 'b' } }, () => {}, 'id2label is about ["a", "b"], expected 0 to 1'],
  ['a label twice', { id2label: { 0: 'a', 1: 'a' } }, () => {}, 'head.labels is ["a", "a"], expected each label once'],
  ['several labels at a time', { problem_type: 'multi_label_classification' }, () => {}, 'problem_type is "multi_label_classification", expected single_label_classification'],
  ['a number', {}, (raw) => raw.set('score.weight', { shape: [1, 16], values: noise(16, 1) }), 'score.weight has 1 row, which gives a number and no class'],
  ['a pooling that the official code cannot do', { pooling_strategy: 'first' }, () => {}, 'pooling_strategy is "first", expected one of mean, max'],
])('a head of %s is one line', async (_, change, edit, message) => {
  const { config, raw } = await goldenModel('caduceus-ph-cls')
  edit(raw)
  const failed = openCheckpoint(await writeModel({ ...config, ...change }, raw))
  await expect(failed).rejects.toMatchObject({ exitCode: 69, message: expect.stringContaining(message) })
}) // biome-ignore format: a table
