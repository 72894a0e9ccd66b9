import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { describe, expect, test } from 'vitest'
import { devices } from '../../src/backends/registry.js'
import { type Checkpoint, openCheckpoint } from '../../src/checkpoints/open.js'
import { saveCheckpoint } from '../../src/checkpoints/own.js'
import { packageRoot } from '../../src/runtime/package-root.js'
import { readsText } from '../../src/tokens/tokenizer.js'
import { prepareDna } from '../../src/training/dna/prepare.js'
import { sizeOf } from '../../src/training/gradient-sum.js'
import { hostTensors, Replica } from '../../src/training/replica.js'
import { prepareText } from '../../src/training/text/prepare.js'
import { randomWeights, tinySpec } from '../engine/models.js'
import { command } from '../run-command.js'
import { temporaryFolder } from '../shell/run.js'

const folder = temporaryFolder()
const path = (name: string) => join(folder, name)

/** A model of the official code; one of text with a tokenizer of as many characters as it has ids. */
function model(name: string, as = name): string {
  cpSync(join(packageRoot, 'test/golden', name), path(as), { recursive: true })
  if (name.startsWith('caduceus')) return path(as)
  const { vocab_size } = JSON.parse(readFileSync(join(path(as), 'config.json'), 'utf8').replaceAll('Infinity', '1e9'))
  const tokenizer = JSON.parse(readFileSync(join(packageRoot, 'test/specimens/text/characters.json'), 'utf8'))
  tokenizer.model.vocab = Object.fromEntries(
    Object.entries<number>(tokenizer.model.vocab).filter(([, id]) => id < vocab_size),
  )
  writeFileSync(join(path(as), 'tokenizer.json'), JSON.stringify(tokenizer))
  return path(as)
}

/** Records of letters, the first three for one class and the last three for the other, but for every fourth. */
function write(
  letters: string,
  lineOf: (id: number, text: string) => string,
  idOf: (i: number) => string,
  name: string,
) {
  const records = Array.from({ length: 16 }, (_, i) => {
    const text = Array.from(
      { length: 12 },
      (_, t) => letters[t % 4 === 3 ? (i + t) % letters.length : ((i % 2) * 3 + ((i * t) % 3)) % letters.length],
    )
    return { text: text.join(''), label: i % 2 === 0 ? 'low' : 'high' }
  })
  writeFileSync(path(name), records.map(({ text }, i) => lineOf(i, text)).join(''))
  writeFileSync(path(`${name}.tsv`), records.map(({ label }, i) => `${idOf(i)}\t${label}\n`).join(''))
}
write(
  'ABCDEF',
  (_, text) => `${text}\n`,
  (i) => `${i + 1}`,
  'lines.txt',
)
write(
  'ABCDEF',
  (i, text) => `${JSON.stringify({ id: `t${i}`, text })}\n`,
  (i) => `t${i}`,
  'texts.jsonl',
)
write(
  'ACGT',
  (i, text) => `>r${i}\n${text}\n`,
  (i) => `r${i}`,
  'reads.fa',
)
writeFileSync(
  path('few.json'),
  JSON.stringify({ epochs: 6, batch: 16, shard: 16, lr: 0.01, warmup: 0, weight_decay: 0 }),
)

const trainArgs = (data: string, from: string, out: string) =>
  ['train', 'classify', '--data', path(data), '--labels', path(`${data}.tsv`), '--config', path('few.json')]
    .concat('--from', from, '--out', path(out), '-d', 'cpu') // biome-ignore format: a command line
const train = (data: string, from: string, out: string, ...flags: readonly string[]) =>
  command([...trainArgs(data, from, out), '-q', ...flags])

const losses = (out: string): number[] =>
  readFileSync(join(path(out), 'train-log.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).train_loss)

const labelsOf = async (model: string, data: string) => {
  const { code, stdout, stderr } = await command(['classify', '-m', path(model), path(data), '-q'])
  expect([code, stderr]).toEqual([0, ''])
  return stdout.toString().trim().split('\n').slice(1).map((line) => line.split('\t')[2]) // biome-ignore format: a chain
}

/** Loss of the first step and of the last, without worker threads; the model opens when it has been saved. */
async function learnt(from: Checkpoint, data: string): Promise<[number, number]> {
  const files = { train: { data: path(data), labels: path(`${data}.tsv`) }, valid: null }
  const prepare = readsText(from.spec) ? prepareText : prepareDna
  const settings = JSON.parse(readFileSync(path('few.json'), 'utf8'))
  const prepared = await prepare(files, settings, { name: 'it', ...from }, 'none', () => {})
  const { spec, weights, train } = prepared
  await saveCheckpoint(path('saved'), spec, weights)
  expect((await openCheckpoint(path('saved'))).weights).toEqual(weights)

  const state = { step: 0, weights: hostTensors(weights), moments: new Map(), ema: null }
  const slots = new SharedArrayBuffer(4 * sizeOf(weights.values()))
  const backend = await devices.cpu.open()
  const stop = new SharedArrayBuffer(4)
  const replica = new Replica(backend, { ...prepared, state, frozen: new Map(), train, valid: null, slots, stop })
  const records = Int32Array.from({ length: 16 }, (_, i) => i)
  const losses: number[] = []
  for (let step = 0; step < 6; step++) {
    const { loss } = (await replica.do({ kind: 'gradient', step, shard: 0, records, total: 16 })) as { loss: number }
    await replica.do({ kind: 'update', step: step + 1, steps: 100, shards: 1 })
    losses.push(loss)
  }
  await backend.close()
  return [losses[0], losses[5]]
}

describe('train classify --from', () => {
  test.each([
    ['hf-mamba', 'lines.txt'],
    ['hf-mamba2', 'lines.txt'],
    ['ssm-mamba3', 'lines.txt'],
    ['hf-falcon-mamba', 'lines.txt'],
    ['hf-jamba', 'lines.txt'],
    ['hf-granite-hybrid-moe', 'lines.txt'],
    ['hf-falcon-h1', 'lines.txt'],
    ['hf-qwen3-next', 'lines.txt'],
    ['caduceus-m2-ps', 'reads.fa'],
    ['caduceus-ph', 'reads.fa'],
    ['caduceus-ps', 'reads.fa'],
  ])('%s learns from %s', async (name, data) => {
    const [first, last] = await learnt(await openCheckpoint(model(name)), data)
    expect(last).toBeLessThan(0.9 * first)
  })

  test.each(['mamba2 both', 's4', 's5', 'retention', 'attention', 'gated-delta'] as const)(
    'our own %s learns from DNA',
    async (kind) => {
      const spec = tinySpec(kind)
      const own = { spec, weights: randomWeights(spec), config: {}, layout: 'longwave', folder: '' }
      const [first, last] = await learnt(own, 'reads.fa')
      expect(last).toBeLessThan(0.9 * first)
    },
  )

  test('makes models that classify and evaluate read', async () => {
    for (const [name, data] of [
      ['hf-mamba2', 'texts.jsonl'],
      ['caduceus-ps', 'reads.fa'],
    ]) {
      expect(await train(data, model(name, `of ${name}`), `tuned ${name}`, '--valid', path(data))).toMatchObject({
        code: 0,
        stderr: '',
      })
      const labels = await labelsOf(`tuned ${name}`, data)
      expect(labels).toHaveLength(16)
      const evaluated = await command(
        ['evaluate', '-m', path(`tuned ${name}`), '--data', path(data), '--labels', path(`${data}.tsv`), '-q', '--json'],
      ) // biome-ignore format: a command line
      const right = labels.filter((label, i) => label === (i % 2 === 0 ? 'low' : 'high')).length
      expect(JSON.parse(evaluated.stdout.toString())).toMatchObject({ records: 16, accuracy: right / 16 })
    }
  })

  test('keeps what is frozen as it was stored, learns the rest in float32, and takes the tokenizer along', async () => {
    const from = model('hf-mamba-f16')
    expect(await train('lines.txt', from, 'halves', '--freeze', '1,norm')).toMatchObject({ code: 0, stderr: '' })
    const { weights: before } = await openCheckpoint(from)
    const { weights: after } = await openCheckpoint(path('halves'))
    const frozen = [...after.keys()].filter((name) => isDeepStrictEqual(after.get(name), before.get(name)))
    expect(frozen).toEqual([...before.keys()].filter((name) => /^(embedding|blocks\.0|norm_f)\./.test(name)))
    expect([...before.values()].filter(({ dtype }) => dtype === 'f16')).toHaveLength(before.size)
    for (const [name, { dtype }] of after) expect(dtype, name).toBe(frozen.includes(name) ? 'f16' : 'f32')
    const tokenizer = (folder: string) => readFileSync(join(folder, 'tokenizer.json'), 'utf8')
    expect(tokenizer(path('halves'))).toBe(tokenizer(from))
    expect(new Set(await labelsOf('halves', 'lines.txt'))).toEqual(new Set(['low', 'high']))

    // Its head is kept for the same labels.
    expect(await train('lines.txt', path('halves'), 'again', '--lr', '0')).toMatchObject({ code: 0, stderr: '' })
    expect(losses('again')[0]).toBeLessThan(losses('halves')[0])
    expect(await train('lines.txt', path('halves'), 'again', '--force')).toMatchObject({ code: 0, stderr: '' })
  })

  // PS reads the other strand with [SEP] before it, its body alone with [SEP] behind it.
  test.each([
    ['caduceus-ph-cls', 5],
    ['caduceus-ps-cls', 1],
  ])('keeps the head of %s for the same labels', async (name, digits) => {
    const labels = readFileSync(path('reads.fa.tsv'), 'utf8').replaceAll('low', 'LABEL_0').replaceAll('high', 'LABEL_1')
    cpSync(path('reads.fa'), path(`${name}.fa`))
    writeFileSync(path(`${name}.fa.tsv`), labels)
    const from = join(packageRoot, 'test/golden', name)
    const still = ['--symmetric', '--lr', '0', '--epochs', '1']
    expect(await train(`${name}.fa`, from, `still ${name}`, ...still)).toMatchObject({ code: 0, stderr: '' })
    const scores = async (model: string) => {
      const { stdout } = await command(['classify', '-m', model, path('reads.fa'), '-q', '-f', 'jsonl'])
      return stdout.toString().trim().split('\n').map((line) => JSON.parse(line).score as number) // biome-ignore format: a chain
    }
    const expected = await scores(from)
    for (const [i, score] of (await scores(path(`still ${name}`))).entries())
      expect(score).toBeCloseTo(expected[i], digits)
    expect(new Set(expected).size).toBeGreaterThan(8)
  })

  test('refuses in a line what it cannot do', async () => {
    const bare = join(packageRoot, 'test/golden/hf-mamba')
    const text = model('hf-mamba', 'text')
    for (const [data, from, flags, code, line] of [
      ['lines.txt', bare, [], 69, /no tokenizer\.json, so this model reads token ids and no text/],
      ['reads.fa', join(packageRoot, 'test/golden/flowstate-r1'), [], 2, /this model does not read DNA or text/],
      ['reads.fa', 'sounds', [], 2, /--from sounds: this model does not read DNA or text/],
      ['lines.txt', text, ['--symmetric'], 2, /strand/],
      ['lines.txt', text, ['--pool', 'flatten'], 2, /'flatten' is for records of one length/],
      ['lines.txt', text, ['--layers', '2'], 2, /layers comes with the model of --from/],
      ['lines.txt', text, ['--freeze', 'stem'], 2, /no part 'stem'; parts: embedding, blocks, norm, body, head/],
      ['reads.fa', text, [], 65, /record 1, line 1: no label in/],
    ] as const) {
      const { code: ended, stderr } = await train(data, from, 'refused', ...flags)
      expect([ended, stderr]).toEqual([code, expect.stringMatching(line)])
      expect(stderr.trim().split('\n')).toHaveLength(1)
    }
  })

  test('leaves empty texts out, and says how many', async () => {
    const lines = readFileSync(path('lines.txt'), 'utf8').split('\n')
    writeFileSync(path('gaps.txt'), ['', ...lines, ''].join('\n'))
    const labels = readFileSync(path('lines.txt.tsv'), 'utf8')
    writeFileSync(
      path('gaps.txt.tsv'),
      labels.replace(/^\d+/gm, (id) => `${Number(id) + 1}`),
    )
    const { code, stderr } = await command(trainArgs('gaps.txt', model('hf-mamba', 'gaps'), 'tuned gaps'))
    expect([code, stderr]).toEqual([0, expect.stringMatching(/gaps\.txt: 2 empty texts left out\n/)])
    const { training } = JSON.parse(readFileSync(join(path('tuned gaps'), 'config.json'), 'utf8'))
    expect(training.data.train).toMatchObject({ data: 'gaps.txt', records: 16 })
  })
})
