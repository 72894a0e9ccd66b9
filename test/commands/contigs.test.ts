import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { saveCheckpoint } from '../../src/checkpoints/own.js'
import type { ModelSpec } from '../../src/spec.js'
import { randomWeights, seeded, tinySpec } from '../engine/models.js'
import { command } from '../run-command.js'
import { temporaryFolder } from '../shell/run.js'

const folder = temporaryFolder()
const [model, contigs] = [join(folder, 'model'), join(folder, 'contigs.fa')]
const labels = ['a', 'b', 'c']
/** Two of them have one id. */
const ids = ['c1', 'c2', 'c2', 'c3']
const lengths = [333, 64, 50, 7]
let sequences: string[] = []

beforeAll(async () => {
  const spec = { ...tinySpec('add', true), strand: 'symmetric' } satisfies ModelSpec
  const weights = randomWeights(spec, 4)
  // Away from its even start: labels change from window to window.
  const { data } = weights.get('head.weight')!
  for (let i = 0; i < data.length; i++) data[i] *= 20
  await saveCheckpoint(model, spec, weights)
  const random = seeded(9)
  sequences = lengths.map((length) => Array.from({ length }, () => 'ACGTN'[Math.floor(random() * 4.3)]).join(''))
  writeFileSync(contigs, sequences.map((sequence, i) => `>${ids[i]} x\n${sequence}\n`).join(''))
})

const classify = (...args: string[]) => command(['classify', '-m', model, ...args])

async function printed(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await classify('-q', ...args, contigs)
  expect([stderr, code]).toEqual(['', 0])
  return stdout.toString()
}

interface Row {
  id: string
  start: number
  end: number
  length: number
  label: string
  score: number
  windows: number
  n_fraction: number
  probabilities: Record<string, number>
  shares: Record<string, number>
}

const rowsOf = (text: string): Row[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
const objects = async (...args: string[]) => rowsOf(await printed('-f', 'jsonl', ...args))
const table = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t'))
const best = (p: Record<string, number>) => labels.reduce((most, label) => (p[label] > p[most] ? label : most))

/** Windows of one record after the other; two neighbours have one id here and there. */
function byRecord(windows: Row[]): Row[][] {
  const records: Row[][] = []
  for (const row of windows) {
    if (row.start === 0) records.push([])
    records.at(-1)!.push(row)
  }
  return records
}

describe('--per-record', () => {
  test.each([[['--min-length', '20']], [['--stride', '30', '--strand', '-']]])(
    'pools the windows of each record: mean log-probabilities, shares, length, N, windows (%j)',
    async (args) => {
      const cut = ['--window', '40', '--probabilities', ...args]
      const windows = byRecord(await objects(...cut))
      const pooled = await objects('--per-record', ...cut)
      const read = args[0] === '--min-length' ? [0, 1, 2] : [0, 1, 2, 3]
      expect(pooled.map(({ id, length }) => [id, length])).toEqual(read.map((i) => [ids[i], lengths[i]]))
      for (const [i, row] of pooled.entries()) {
        const means = labels.map(
          (label) => windows[i].reduce((sum, { probabilities: p }) => sum + Math.log(p[label]), 0) / windows[i].length,
        )
        const total = means.reduce((sum, mean) => sum + Math.exp(mean), 0)
        for (const [k, label] of labels.entries()) {
          expect(row.probabilities[label]).toBeCloseTo(Math.exp(means[k]) / total, 4)
          const votes = windows[i].filter(({ probabilities: p }) => best(p) === label).length
          expect(row.shares[label]).toBeCloseTo(votes / windows[i].length, 5)
        }
        expect([row.label, row.score]).toEqual([best(row.probabilities), Math.max(...Object.values(row.probabilities))])
        expect(row.windows).toBe(windows[i].length)
        expect(row.n_fraction).toBeCloseTo([...sequences[i]].filter((base) => base === 'N').length / lengths[i], 5)
      }
    },
  )

  test('has the same numbers in all table formats, under the documented names', async () => {
    const args = ['--per-record', '--window', '40']
    const [header, ...rows] = table(await printed('--probabilities', ...args))
    const each = ['p:a', 'p:b', 'p:c', 'share:a', 'share:b', 'share:c']
    expect(header).toEqual(['id', 'length', 'label', 'score', 'windows', 'n_fraction', ...each])
    const found = await objects('--probabilities', ...args)
    const names = ['id', 'length', 'label', 'score', 'windows', 'n_fraction', 'probabilities', 'shares']
    expect(Object.keys(found[0])).toEqual(names)
    const cells = found.map(({ probabilities, shares, ...rest }) =>
      [rest, probabilities, shares].flatMap((part) => Object.values(part).map(String)),
    )
    expect(rows).toEqual(cells)
    expect(JSON.parse(await printed('-f', 'json', '--probabilities', ...args))).toEqual(found)
  })

  test('gives the same bytes whatever threads and chunk', async () => {
    const args = ['--per-record', '--window', '40', '--stride', '30', '--probabilities']
    expect(await printed(...args, '-t', '2', '--chunk', '60', '--on-error', 'skip')).toBe(await printed(...args))
  })

  test('--min-score judges the pooled score, --report counts records and all their bases, the last line too', async () => {
    const report = join(folder, 'report.tsv')
    const args = ['--per-record', '--window', '40', '--min-length', '20']
    const all = await objects(...args)
    const [lowest, next] = all.map(({ score }) => score).sort()
    const limit = (lowest + next) / 2
    const { stdout, stderr } = await classify('--min-score', `${limit}`, '--report', report, ...args, contigs)
    const labelled = all.map(({ label, score }) => (score < limit ? 'unclassified' : label))
    expect(labelled.filter((label) => label === 'unclassified')).toHaveLength(1)
    const [header, ...rows] = table(stdout.toString())
    expect(header).toEqual(['id', 'length', 'label', 'score', 'windows', 'n_fraction'])
    expect(rows.map(([, , label]) => label)).toEqual(labelled)
    const totals = table(readFileSync(report, 'utf8')).slice(1)
    for (const [label, count, , bases] of totals) {
      const mine = all.filter((_, i) => labelled[i] === label)
      expect([Number(count), Number(bases)]).toEqual([mine.length, mine.reduce((sum, { length }) => sum + length, 0)])
    }
    // 50 bases have a last window of 10, 333 one of 13.
    expect(stderr).toMatch(/^3 records .*; left out: 1 too short, 2 last windows too short$/m)
  })

  test('of nothing but records that are left out is a header alone', async () => {
    expect(table(await printed('--per-record', '--window', '40', '--min-length', '1000'))).toHaveLength(1)
  })
})

test('--merge joins neighbouring windows of one label; the report counts events', async () => {
  const args = ['--window', '40', '--stride', '25', '--min-score', '0.5', '--probabilities']
  const expected: Row[][] = []
  for (const windows of byRecord(await objects(...args)))
    for (const [i, window] of windows.entries()) {
      if (windows[i - 1]?.label === window.label) expected.at(-1)!.push(window)
      else expected.push([window])
    }
  expect(new Set(expected.map((rows) => rows.length > 1))).toEqual(new Set([true, false]))
  const report = join(folder, 'events.tsv')
  const events = await objects('--merge', '--report', report, ...args)
  expect(Object.keys(events[0])).toEqual(['id', 'start', 'end', 'label', 'score', 'windows', 'probabilities'])
  expect(events.map(({ id, start, end, label, windows }) => [id, start, end, label, windows])).toEqual(
    expected.map((rows) => [rows[0].id, rows[0].start, rows.at(-1)!.end, rows[0].label, rows.length]),
  )
  for (const [i, { score }] of events.entries())
    expect(score).toBeCloseTo(expected[i].reduce((sum, row) => sum + row.score, 0) / expected[i].length, 4)
  const totals = table(readFileSync(report, 'utf8')).slice(1)
  expect(totals.reduce((sum, [, count]) => sum + Number(count), 0)).toBe(events.length)
  expect(totals.reduce((sum, [, , , bases]) => sum + Number(bases), 0)).toBe(
    events.reduce((sum, { start, end }) => sum + end - start, 0),
  )
})

describe('bed', () => {
  test('six fields, the score in thousandths, in the order of the windows, without a header', async () => {
    const args = ['--window', '40', '--stride', '25', '--merge', '--min-score', '0.5']
    const rows = await objects(...args)
    const lines = table(await printed('-f', 'bed', ...args))
    expect(lines.map((line) => line.length)).toEqual(rows.map(() => 6))
    for (const [i, { id, start, end, label, score }] of rows.entries()) {
      expect(lines[i].toSpliced(4, 1)).toEqual([id, `${start}`, `${end}`, label, '.'])
      expect(lines[i][4]).toMatch(/^\d+$/)
      expect(Math.abs(Number(lines[i][4]) - 1000 * score)).toBeLessThan(0.501)
    }
  })

  test('by the suffix of -o, unless -f says otherwise', async () => {
    const bed = await printed('--window', '40', '-f', 'bed')
    const at = (name: string) => join(folder, name)
    await printed('--window', '40', '-o', at('calls.bed.gz'))
    await printed('--window', '40', '-f', 'tsv', '-o', at('table.bed'))
    expect(gunzipSync(readFileSync(at('calls.bed.gz'))).toString()).toBe(bed)
    expect(readFileSync(at('table.bed'), 'utf8')).toMatch(/^id\tstart/)
  })

  test('a name is its first word; one that readers of BED pass over is an error and no file', async () => {
    const args = ['classify', '-m', model, '-q', '--window', '5', '-f', 'bed']
    const line = (id: string) => `${JSON.stringify({ id, seq: 'ACGTACG' })}\n`
    const { stdout } = await command(args, { input: line('chr 1\tx') + line('track2') + line('a#b|c') })
    expect(table(stdout.toString()).map(([chrom]) => chrom)).toEqual([
      'chr',
      'chr',
      'track2',
      'track2',
      'a#b|c',
      'a#b|c',
    ])
    const out = join(folder, 'bad.bed')
    const { code, stderr } = await command([...args, '-o', out], { input: line('good') + line('#1') })
    expect([code, stderr]).toEqual([65, expect.stringMatching(/record #1, line 2: readers of BED pass over/)])
    expect(() => readFileSync(out)).toThrow('ENOENT')
  })
})

test.each([
  [['--per-record'], /--per-record pools windows: give their length with --window/],
  [['--merge'], /--merge joins windows: give their length with --window/],
  [['--merge', '--per-record', '--window', '9'], /--merge and --per-record both join windows/],
  [['-f', 'bed'], /bed holds windows: give their length with --window, or use --format tsv or jsonl/],
  [['-o', 'x.bed.gz'], /bed holds windows/],
  [['-f', 'bed', '--window', '9', '--per-record'], /bed holds windows, not whole records: leave --per-record out/],
  [['-f', 'audacity', '--window', '9'], /audacity counts seconds, but this model reads DNA: use --format bed or tsv/],
])('%j is a usage error with advice', async (args, why) => {
  const { code, stdout, stderr } = await classify(...args, contigs)
  expect([code, stdout.length, stderr.trimEnd().split('\n').length]).toEqual([2, 0, 1])
  expect(stderr).toMatch(why)
})
