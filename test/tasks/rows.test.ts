import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { openModel } from '../../src/index.js'
import { packageRoot } from '../../src/runtime/package-root.js'
import { command } from '../run-command.js'
import { temporaryFolder } from '../shell/run.js'

const temporary = temporaryFolder()
const fixture = (name: string) => join(packageRoot, 'fixtures', name)
const rowsOf = async <Row>(rows: AsyncIterable<Row>) => {
  const all: Row[] = []
  for await (const row of rows) all.push(row)
  return all
}
const jsonLines = async (...args: string[]) => {
  const { code, stdout, stderr } = await command([...args, '-q', '-f', 'jsonl'])
  expect([code, stderr]).toEqual([0, ''])
  return stdout.toString().trim().split('\n').map((line) => JSON.parse(line)) // biome-ignore format: a chain
}

describe('a model of DNA', async () => {
  const model = await openModel('promoter', { threads: 2 })
  afterAll(() => model.close())
  const path = fixture('promoters.fa')
  const sequences = readFileSync(path, 'utf8').trim().split(/^>/m).slice(1)
    .map((entry) => ({ id: entry.split('\n')[0], sequence: entry.slice(entry.indexOf('\n')) })) // biome-ignore format: a chain

  test('classify gives the rows of the command, of files and of sequences in memory', async () => {
    const rows = await rowsOf(model.classify(path))
    const printed = await jsonLines('classify', '-m', 'promoter', '--probabilities', path)
    expect(rows.map(({ id, start, end, label }) => ({ id, length: end - start, label }))).toEqual(
      printed.map(({ id, length, label }) => ({ id, length, label })),
    )
    for (const [i, { score, probabilities }] of rows.entries()) {
      expect(score).toBeCloseTo(printed[i].score, 6)
      expect([...probabilities.keys()]).toEqual(Object.keys(printed[i].probabilities))
    }
    expect(await rowsOf(model.classify([path]))).toEqual(rows)
    expect(await rowsOf(model.classify(sequences))).toEqual(rows)
    const some = async function* () {
      yield* sequences
    }
    expect(await rowsOf(model.classify(some(), { minScore: 1.1 }))).toEqual(
      rows.map((row) => ({ ...row, label: 'unclassified' })),
    )
    expect(await rowsOf(model.classify([]))).toEqual([])
  })

  test('classify joins windows as the command does', async () => {
    const [args, options] = [['--window', '70', '--stride', '35', '--probabilities'], { window: 70, stride: 35 }]
    const long = join(temporary, 'long.fa')
    writeFileSync(long, `>a\n${sequences.map(({ sequence }) => sequence).join('')}\n>b\n${sequences[0].sequence}`)
    const pooled = await rowsOf(model.classify(long, { ...options, perRecord: true }))
    const printed = await jsonLines('classify', '-m', 'promoter', '--per-record', ...args, long)
    expect(pooled.map(({ id, end, label, windows, nFraction }) => [id, end, label, windows, nFraction])).toEqual(
      printed.map(({ id, length, label, windows, n_fraction }) => [id, length, label, windows, n_fraction]),
    )
    expect(pooled.map(({ shares }) => [...shares!.values()])).toEqual(
      printed.map(({ shares }) => Object.values<number>(shares).map((share) => expect.closeTo(share, 5))),
    )
    const events = await rowsOf(model.classify(long, { ...options, merge: true }))
    const lines = await jsonLines('classify', '-m', 'promoter', '--merge', ...args, long)
    expect(events.map(({ id, start, end, label, windows }) => [id, start, end, label, windows])).toEqual(
      lines.map(({ id, start, end, label, windows }) => [id, start, end, label, windows]),
    )
    await expect(rowsOf(model.classify(long, { merge: true }))).rejects.toMatchObject({ exitCode: 2 })
  })

  test('embed gives the vectors of the command, all rows too', async () => {
    const [rows, printed] = [await rowsOf(model.embed(path)), await jsonLines('embed', '-m', 'promoter', path)]
    expect(rows.map(({ embedding }) => [...embedding].map((x) => Number(x.toPrecision(9))))).toEqual(
      printed.map(({ embedding }) => embedding),
    )
    const all = await rowsOf(model.embed(sequences.slice(0, 1), { pool: 'none' }))
    expect(all.at(-1)!.last).toBe(true)
    expect(all[0].embedding.length).toBe(rows[0].embedding.length * 35)
    await expect(rowsOf(model.embed(sequences, { pool: 'none', strand: 'both' }))).rejects.toThrow('one strand')
  })

  test('ids are those that forward takes, letters cleaned as in files', async () => {
    expect([...(await model.tokenize('acGU\nRn-'))]).toEqual([0, 1, 2, 3, 4, 4, 4])
    expect((await model.tokenize('')).length).toBe(0)
    await expect(model.tokenize('ACGL')).rejects.toMatchObject({ exitCode: 65 })
  })

  test('what is no sequence is an error that names it', async () => {
    const bad = [{ id: 'a', sequence: 'ACGT'.repeat(20) }, 'ACGT'] as never
    await expect(rowsOf(model.classify(bad))).rejects.toMatchObject({
      message: 'sequences: record 2: expected an object { id, sequence } of two texts',
      exitCode: 65,
    })
    await expect(rowsOf(model.classify('none.fa'))).rejects.toMatchObject({ exitCode: 66 })
  })

  test('a loop that ends early leaves no thread at work', async () => {
    const endless = function* () {
      for (let i = 0; ; i++) yield { id: String(i), sequence: 'ACGTACGTAC'.repeat(7) }
    }
    for await (const { id } of model.classify(endless())) if (id === '5') break
  })
})

describe('a model of audio', async () => {
  const model = await openModel('digits', { threads: 1 })
  afterAll(() => model.close())

  test('transcribe gives the lines of the command', async () => {
    const path = fixture('digits.wav')
    const { stdout } = await command(['transcribe', '-m', 'digits', '-q', '-f', 'json', path])
    expect(JSON.parse(JSON.stringify(await rowsOf(model.transcribe(path))))).toMatchObject(
      JSON.parse(stdout.toString()).map(({ text }: { text: string }) => ({ path, text })),
    )
  })

  test('a folder means the recordings in it', async () => {
    const talks = join(temporary, 'talks')
    mkdirSync(talks)
    for (const name of ['b.wav', 'a.wav']) copyFileSync(fixture('digits.wav'), join(talks, name))
    writeFileSync(join(talks, 'notes.txt'), 'Two talks of digits.')
    const warnings: string[] = []
    const lines = await rowsOf(model.transcribe(talks, { onWarning: (line) => warnings.push(line) }))
    expect(lines.map(({ path, text }) => [basename(path), text])).toEqual([
      ['a.wav', 'two six four eight'],
      ['b.wav', 'two six four eight'],
    ])
    expect(warnings).toEqual([expect.stringMatching(/: 1 other file passed over, which are no recordings$/)])
  })

  test('forward says what to call, and sequences are refused', async () => {
    await expect(model.forward(Int32Array.of(1, 2))).rejects.toThrow(
      'this model reads audio, call transcribe, classify or embed with paths; forward got 2 values, expected float32 rows of 40',
    )
    await expect(rowsOf(model.embed([{ id: 'a', sequence: 'ACGT' }]))).rejects.toThrow('this model reads audio')
    await expect(model.tokenize('ACGT')).rejects.toThrow('reads audio, not DNA')
  })
})

test('a closed model, and numbers that are none', async () => {
  const model = await openModel('promoter')
  await model.close()
  expect(() => model.classify([])).toThrow('closed')
  await expect(openModel('promoter', { threads: 0 })).rejects.toThrow('threads is 0, expected a whole number above 0')
  const precision = 'int8' as 'f32'
  await expect(openModel('promoter', { precision })).rejects.toThrow('precision is int8, expected f32 or f16')
})
