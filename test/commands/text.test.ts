import { copyFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { saveCheckpoint } from '../../src/checkpoints/own.js'
import { packageRoot } from '../../src/runtime/package-root.js'
import type { ModelSpec } from '../../src/spec.js'
import { openModel } from '../../src/tasks/model.js'
import { randomWeights, tinySpec } from '../engine/models.js'
import { command } from '../run-command.js'
import { temporaryFolder } from '../shell/run.js'

const folder = temporaryFolder()
const path = (name: string) => join(folder, name)
const specimen = (name: string) => join(packageRoot, 'test/specimens/text', name)

/** A model of text with a tokenizer beside it, which puts `<s>` before each text. */
const causal: ModelSpec = {
  ...tinySpec('mamba'),
  input: { kind: 'tokens', tokenizer: 'ids', vocab_size: 424 },
  head: { kind: 'tokens', tied: true },
}
const classes: ModelSpec = { ...causal, head: { kind: 'classes', labels: ['no', 'yes'], pool: 'last' } }

beforeAll(async () => {
  for (const [name, spec] of Object.entries({ causal, classes, bare: causal })) {
    await saveCheckpoint(path(name), spec, randomWeights(spec))
    if (name !== 'bare') copyFileSync(specimen('byte-fallback.json'), join(path(name), 'tokenizer.json'))
  }
})

const json = async (args: string[], input?: string | Uint8Array) => {
  const { code, stdout, stderr } = await command([...args, '-q', '-f', 'jsonl'], { input })
  expect([code, stderr]).toEqual([0, ''])
  return stdout
    .toString()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}

describe('texts', () => {
  const lines = ['Hello world', 'a genome', 'Grüße 😀 <s>']
  const jsonLines = lines.map((text, i) => JSON.stringify({ other: [1], text, id: `t${i}` })).join('\n')

  test('are lines, whose number is the id, or JSON lines, also gzipped, with any line ends', async () => {
    const plain = await json(['embed', '-m', path('causal')], lines.join('\n'))
    expect(plain.map(({ id, embedding }) => [id, embedding.length])).toEqual([
      ['1', 7],
      ['2', 7],
      ['3', 7],
    ])
    const vectors = plain.map(({ length, embedding }) => [length, embedding])
    for (const input of [`\ufeff${lines.join('\r\n')}\r\n`, jsonLines, `${jsonLines}\n\n`, gzipSync(jsonLines)]) {
      const rows = await json(['embed', '-m', path('causal'), '-t', '2', '--chunk', '3'], input)
      expect(rows.map(({ length, embedding }) => [length, embedding])).toEqual(vectors)
    }
    expect((await json(['embed', '-m', path('causal')], jsonLines))[2].id).toBe('t2')
    writeFileSync(path('numbers.jsonl'), '{"text": "a", "id": 7}\n{"text":"b"}\n')
    expect((await json(['score', '-m', path('causal'), path('numbers.jsonl')])).map(({ id }) => id)).toEqual(['7', '2'])
  })

  test('have the vectors and classes that the library gives their ids', async () => {
    const model = await openModel(path('causal'))
    const ids = await model.tokenize('Hello world')
    expect(ids[0]).toBe(1)
    const { hidden } = await model.forward(ids, { logits: 'none', hidden: 'last' })
    const mean = Array.from({ length: 7 }, (_, d) => {
      let sum = 0
      for (let t = 0; t < ids.length; t++) sum += (hidden as Float32Array)[t * 7 + d]
      return sum / ids.length
    })
    const [{ length, embedding }] = await json(['embed', '-m', path('causal')], 'Hello world')
    expect(length).toBe(ids.length)
    for (const [d, value] of mean.entries()) expect(embedding[d]).toBeCloseTo(value, 5)
    const rows: unknown[] = []
    for await (const { id, end } of model.embed([{ id: 'x', text: 'Hello world' }])) rows.push([id, end])
    expect(rows).toEqual([['x', ids.length]])
    await model.close()
    const called = await json(['classify', '-m', path('classes'), '--window', '4'], 'Hello world')
    expect(called.map(({ start, end, label }) => [start, end, ['no', 'yes'].includes(label)])).toEqual(
      Array.from({ length: Math.ceil(ids.length / 4) }, (_, i) => [4 * i, Math.min(4 * i + 4, ids.length), true]),
    )
  })

  test('that are empty are left out and counted, and folders give files of text', async () => {
    mkdirSync(path('texts'))
    writeFileSync(path('texts/a.txt'), 'one\n\ntwo\n')
    writeFileSync(path('texts/b.bin'), Buffer.from([0, 1, 2]))
    const { code, stdout, stderr } = await command(['score', '-m', path('causal'), path('texts')])
    expect([
      code,
      stdout
        .toString()
        .split('\n')
        .map((line) => line.split('\t')[0]),
    ]).toEqual([0, ['id', '1', '3', '']])
    expect(stderr).toMatch(/1 other file passed over, which are no files of text/)
    expect(stderr).toMatch(/2 records {2}\d+ tokens .*left out: 1 empty\n/)
  })

  test('that are none end with one line, or are skipped', async () => {
    const bad = Buffer.concat([Buffer.from('good\n'), Buffer.from([0x61, 0xe9, 0x62]), Buffer.from('\nmore\n')])
    const failed = await command(['score', '-m', path('causal')], { input: bad })
    expect([failed.code, failed.stderr]).toEqual([65, expect.stringContaining('stdin: line 2: not UTF-8')])
    const skipped = await command(['score', '-m', path('causal'), '--on-error', 'skip'], { input: bad })
    expect([skipped.code, skipped.stdout.toString().split('\n').length]).toEqual([0, 4])
    expect(skipped.stderr).toMatch(/left out: 1 bad records/)
    for (const [input, message] of [
      ['{"text": 1}\n', /line 1: record 1: expected a "text"/],
      ['{"text": "a"}\n[]\n', /line 2: expected one whole JSON object with a "text"/],
      ['{"text": "a", "id": {}}\n', /line 1: expected a text or a number as "id"/],
      [Buffer.from('BZh9 and so on, long enough'), /bzip2 data, expected lines of text or JSON lines/],
      ['B'.repeat(3 << 20), /record 1, line 1: more than 1048576 characters without a blank/],
    ] as const) {
      const { code, stderr } = await command(['score', '-m', path('causal')], { input })
      expect([code, stderr]).toEqual([65, expect.stringMatching(message)])
      expect(stderr.trim().split('\n').length).toBe(1)
    }
    expect((await command(['score', '-m', path('causal'), path('nowhere.txt')])).code).toBe(66)
  })

  test('need a tokenizer that fits the model', async () => {
    const { code, stderr } = await command(['score', '-m', path('bare')], { input: 'a' })
    expect([code, stderr]).toEqual([69, expect.stringMatching(/no tokenizer\.json, .*EleutherAI\/gpt-neox-20b/)])
    const small: ModelSpec = { ...causal, input: { kind: 'tokens', tokenizer: 'ids', vocab_size: 100 } }
    await saveCheckpoint(path('small'), small, randomWeights(small))
    copyFileSync(specimen('byte-fallback.json'), join(path('small'), 'tokenizer.json'))
    expect((await command(['score', '-m', path('small')], { input: 'a' })).stderr).toMatch(
      /has ids up to 419, but the embedding of the model has 100 rows/,
    )
    for (const [text, message] of [
      ['{"model":', /tokenizer\.json: not JSON/],
      ['{}', /tokenizer\.json: no tokenizer that can be read/],
    ] as const) {
      writeFileSync(join(path('small'), 'tokenizer.json'), text)
      const { code, stderr } = await command(['score', '-m', path('small')], { input: 'a' })
      expect([code, stderr]).toEqual([69, expect.stringMatching(message)])
    }
  })

  test('refuse what is for DNA or audio', async () => {
    for (const [args, message] of [
      [['score', '--strand', '-'], /--strand is for DNA, but this model reads text/],
      [['embed', '--channel', '1'], /--channel is for audio, but this model reads text/],
      [['score', '--per-token', path('x.bedgraph')], /bedGraph counts bases, but this model reads text/],
      [['score', '--per-token', path('x.tsv')], /expected a name that ends in \.bedgraph or \.jsonl/],
    ] as const) {
      const { code, stderr } = await command([
        ...args,
        '-m',
        path('causal'),
        '-f',
        args[0] === 'embed' ? 'jsonl' : 'tsv',
      ])
      expect([code, stderr]).toEqual([2, expect.stringMatching(message)])
    }
    const bed = await command(['classify', '-m', path('classes'), '--window', '4', '-f', 'bed'], { input: 'a' })
    expect([bed.code, bed.stderr]).toEqual([2, expect.stringMatching(/bed counts bases, but this model reads text/)])
  })
})

describe('score of texts', () => {
  test('is the sum over the tokens behind the first, whatever the chunk, and token by token', async () => {
    const model = await openModel(path('causal'))
    const text = 'a genome in windows, and more'
    const ids = await model.tokenize(text)
    const { logits } = await model.forward(ids)
    await model.close()
    const V = 424
    const expected = Array.from(ids.subarray(1), (id, t) => {
      const row = logits!.subarray(t * V, (t + 1) * V)
      return row[id] - Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0))
    })
    const total = expected.reduce((sum, x) => sum + x, 0)
    for (const chunk of ['1', '4', '2048']) {
      const tokens = path(`tokens-${chunk}.jsonl`)
      const [row] = await json(
        ['score', '-m', path('causal'), '--chunk', chunk, '-t', '2', '--per-token', tokens],
        text,
      )
      expect(row).toMatchObject({ id: '1', length: ids.length, tokens: ids.length - 1 })
      expect(row.log_likelihood).toBeCloseTo(total, 3)
      expect(row.perplexity).toBeCloseTo(Math.exp(-total / (ids.length - 1)), 1)
      const each = readFileSync(tokens, 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
      expect(each.map(({ index, token_id }) => [index, token_id])).toEqual(
        Array.from(ids.subarray(1), (id, i) => [i + 1, id]),
      )
      expect(each.map(({ token }) => token).join('')).toBe(`▁${text}`.replaceAll(' ', '▁'))
      for (const [i, { log_probability }] of each.entries()) expect(log_probability).toBeCloseTo(expected[i], 4)
    }
  })
})

test('checkpoints of transformers and state-spaces read text with the tokenizer beside them', async () => {
  for (const name of ['hf-mamba', 'ssm-mamba1', 'hf-falcon-mamba']) {
    cpSync(join(packageRoot, 'test/golden', name), path(name), { recursive: true })
    const tokenizer = JSON.parse(readFileSync(specimen('characters.json'), 'utf8'))
    const { vocab_size } = JSON.parse(readFileSync(join(path(name), 'config.json'), 'utf8'))
    const vocab = Object.entries<number>(tokenizer.model.vocab).filter(([, id]) => id < vocab_size)
    const model = { ...tokenizer.model, vocab: Object.fromEntries(vocab) }
    writeFileSync(join(path(name), 'tokenizer.json'), JSON.stringify({ ...tokenizer, model }))
    const [row] = await json(['score', '-m', path(name)], 'ABCabc')
    expect(row).toMatchObject({ length: 6, tokens: 5 })
  }
})
