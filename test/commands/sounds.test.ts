import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { saveCheckpoint } from '../../src/checkpoints/own.js'
import { seeded } from '../engine/models.js'
import { chunk, fmt, int16, riff } from '../input/audio/helpers.js'
import { readParquet } from '../output/read.js'
import { command } from '../run-command.js'
import { temporaryFolder } from '../shell/run.js'
import { randomAudioModel } from '../tasks/audio/models.js'

const folder = temporaryFolder()
const model = join(folder, 'model')
/** 10.3 and 0.4 seconds. */
const [long, short] = ['long one.wav', 'short.wav'].map((name) => join(folder, name))

beforeAll(async () => {
  const { spec, weights } = randomAudioModel({ kind: 'classes', labels: ['rain', 'dog', 'bell'], pool: 'mean' }, false)
  await saveCheckpoint(model, spec, weights)
  const random = seeded(5)
  let [pitch, loud] = [200, 0]
  const samples = Array.from({ length: 10.3 * 8000 }, (_, i) => {
    if (i % 8000 === 0) [pitch, loud] = [150 + 2000 * random(), random()]
    return Math.round(9000 * loud * Math.sin((2 * Math.PI * pitch * i) / 8000) + 500 * loud * random())
  })
  const write = (path: string, some: number[]) =>
    writeFileSync(path, riff([chunk('fmt ', fmt({ rate: 8000 })), chunk('data', int16(some))]))
  write(long, samples)
  write(short, samples.slice(0, 3200))
})

const classify = (...args: string[]) => command(['classify', '-m', model, ...args])

async function objects(...args: string[]) {
  const { code, stdout } = await classify('-q', '-f', 'jsonl', ...args)
  expect(code).toBe(0)
  return stdout
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
}

describe('a last window', () => {
  test('shorter than half a window is none, and is counted, unless it is the only one', async () => {
    const { stdout, stderr } = await classify('--window', '2', long, short)
    const places = stdout
      .toString()
      .trimEnd()
      .split('\n')
      .slice(1)
      .map((line) => line.split('\t').slice(0, 3))
    expect(places).toEqual([...[0, 2, 4, 6, 8].map((start) => [long, `${start}`, `${start + 2}`]), [short, '0', '0.4']])
    expect(stderr).toMatch(/^2 files .*; left out: 1 last windows too short$/m)
  })

  test('of half a window or more is one', async () => {
    const rows = await objects('--window', '0.6', long)
    expect(rows.at(-1)).toMatchObject({ start: 10.2 - 0.6, end: 10.2 })
    const more = await objects('--window', '0.6', '--offset', '0.2', long)
    expect(more.at(-1)).toMatchObject({ start: 9.8, end: 10.3 })
    const embedded = await command(['embed', '-m', model, '-q', '-f', 'jsonl', '--window', '2', long])
    const lines = embedded.stdout.toString().trimEnd().split('\n')
    expect(lines).toHaveLength(5)
    const parquet = join(folder, 'windows.parquet')
    await command(['embed', '-m', model, '-q', '-o', parquet, '--window', '2.1', '--stride', '1.3', long])
    const places = (await readParquet(parquet)).map(({ start, end }) => [start, end])
    expect(places.slice(0, 3)).toEqual([[0, 2.1], [1.3, 3.4], [2.6, 4.7]]) // biome-ignore format: one list
  })
})

test('--per-record pools the windows of a recording; there is no N', async () => {
  const args = ['--window', '1', '--probabilities']
  const windows = await objects(...args, long)
  const report = join(folder, 'report.tsv')
  const [row, other] = await objects('--per-record', '--report', report, ...args, long, short)
  expect(Object.keys(row)).toEqual(['id', 'length', 'label', 'score', 'windows', 'probabilities', 'shares'])
  expect([row.id, row.length, row.windows]).toEqual([long, 10.3, 10])
  expect([other.id, other.length, other.windows]).toEqual([short, 0.4, 1])
  const labels = Object.keys(row.probabilities)
  const mean = (label: string) =>
    Math.exp(windows.reduce((sum, { probabilities }) => sum + Math.log(probabilities[label]), 0) / windows.length)
  const total = labels.reduce((sum, label) => sum + mean(label), 0)
  for (const label of labels) {
    expect(row.probabilities[label]).toBeCloseTo(mean(label) / total, 4)
    const votes = windows.filter((window) => window.label === label).length
    expect(row.shares[label]).toBeCloseTo(votes / windows.length, 5)
  }
  const seconds = readFileSync(report, 'utf8').trimEnd().split('\n').slice(1)
  expect(seconds.reduce((sum, line) => sum + Number(line.split('\t')[3]), 0)).toBeCloseTo(10.7, 4)
})

test('--merge joins windows into events, and Audacity reads them as labels', async () => {
  const args = ['--window', '0.5', '--stride', '0.25']
  const windows = await objects(...args, long)
  const events = await objects('--merge', ...args, long)
  expect([events.length > 1, events.length < windows.length]).toEqual([true, true])
  const expected: { label: string; start: number; end: number }[] = []
  for (const [i, { label, start, end }] of windows.entries())
    if (windows[i - 1]?.label === label) expected.at(-1)!.end = end
    else expected.push({ label, start, end })
  expect(events.map(({ label, start, end }) => ({ label, start, end }))).toEqual(expected)
  const { stdout } = await classify('-q', '-f', 'audacity', '--merge', ...args, long)
  expect(stdout.toString()).toBe(
    expected.map(({ label, start, end }) => `${start.toFixed(6)}\t${end.toFixed(6)}\t${label}\n`).join(''),
  )
})

test.each([
  [['--window', '1', '-f', 'bed'], /bed counts bases, but this model reads audio: use --format audacity or tsv/],
  [['-f', 'audacity'], /audacity holds windows: give their length with --window, or use --format tsv or jsonl/],
  [['--window', '1', '-f', 'audacity', '--per-record'], /audacity holds windows, not whole records/],
  [['--window', '1', '-f', 'audacity', short], /audacity holds one recording: name one input/],
])('%j is a usage error with advice', async (args, why) => {
  const { code, stdout, stderr } = await classify(...args, long)
  expect([code, stdout.length, stderr.trimEnd().split('\n').length]).toEqual([2, 0, 1])
  expect(stderr).toMatch(why)
})
