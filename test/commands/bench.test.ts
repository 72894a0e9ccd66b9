import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { interleaved, median } from '../../src/bench/rounds.js'
import { longwave } from '../shell/run.js'

// Sizes are tiny: what is tested is that the commands run and what they print, never how fast.

const scratch = mkdtempSync(join(tmpdir(), 'longwave bench '))
afterAll(() => rmSync(scratch, { recursive: true }))

async function bench(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await longwave(['bench', ...args, '--rounds', '1', '-q'], {
    env: { TMPDIR: scratch },
  })
  expect([stderr, code]).toEqual(['', 0])
  expect(readdirSync(scratch), 'all files are removed').toEqual([])
  return stdout.toString()
}

const tiny = ['--layers', '1', '--d-model', '8', '-t', '2']

test('cases take turns, and the middle counts', async () => {
  const order: string[] = []
  const cases = ['a', 'b'].map((name) => async () => order.push(name))
  expect(await interleaved(cases, 2)).toEqual([
    [1, 3],
    [2, 4],
  ])
  expect(order.join('')).toBe('abab')
  expect([median([9, 1, 2]), median([4, 1, 2, 9])]).toEqual([2, 3])
})

test('bench classify prints a line on the machine and a row per model, input and number of threads', async () => {
  const [machine, blank, headings, ...rows] = (await bench('classify', ...tiny, '--tokens', '3000')).trim().split('\n')
  expect(machine).toMatch(
    /^# .+, \d+ of \d+ cores, Node \d+\..+; (plain|relaxed) SIMD kernels, matrix products by .+; median of 1 rounds$/,
  )
  expect(blank).toBe('')
  expect(headings.split(/ {2,}/)).toEqual(
    ['model', 'input', 'threads', 'tokens per second', 'ratio', 'start seconds', 'peak mib'], // biome-ignore format: a table
  )
  expect(rows.map((row) => row.split(/ {2,}/).slice(0, 3).join(', '))).toEqual([
    'causal 1 x 8, reads of 150 bp, 1',
    'causal 1 x 8, reads of 150 bp, 2',
    'causal 1 x 8, windows of 500 bp, 1',
    'causal 1 x 8, windows of 500 bp, 2',
    'bidirectional 1 x 8, reads of 150 bp, 1',
    'bidirectional 1 x 8, reads of 150 bp, 2',
    'bidirectional 1 x 8, windows of 500 bp, 1',
    'bidirectional 1 x 8, windows of 500 bp, 2',
  ])
})

test('bench embed measures what a process takes', async () => {
  const args = ['--layers', '1', '--d-model', '8', '-t', '1', '--tokens', '3000', '--json']
  const { bench: name, rounds, rows } = JSON.parse(await bench('embed', ...args))
  expect([name, rounds, rows.length]).toEqual(['bench embed', 1, 4])
  for (const { peak_mib, start_seconds } of rows) {
    expect(peak_mib).toBeGreaterThan(20) // Node alone takes more
    expect(start_seconds).toBeGreaterThan(0)
  }
})

test('a command that fails inside a benchmark is told as its own error', async () => {
  const { code, stderr } = await longwave(['bench', 'classify', '-m', join(scratch, 'none')])
  expect(code).toBe(69)
  expect(stderr).toMatch(/^longwave: .*none: no such model; .*\n$/)
})

test('bench train gives tokens per second and the ratio to one thread', async () => {
  const { rows } = JSON.parse(await bench('train', ...tiny, '--length', '20', '--json'))
  expect(rows.map(({ threads }: { threads: number }) => threads)).toEqual([1, 2])
  expect(rows[0]).toMatchObject({ model: 'causal 1 x 8', records: '64 of 20 bp', ratio: 1 })
  expect(rows[1].tokens_per_second / rows[0].tokens_per_second).toBeCloseTo(rows[1].ratio, 10)
})

test('bench fasta has both readers on both inputs', async () => {
  const [, , headings, ...rows] = (await bench('fasta', '--megabytes', '1')).trim().split('\n')
  expect(headings.split(/ {2,}/)).toEqual(['input', 'reader', 'mb per second', 'ratio'])
  expect(rows.map((row) => row.split(/ {2,}/)[1])).toEqual(['longwave', 'bionode-fasta', 'longwave', 'bionode-fasta'])
})

test('bench operations has the operations of a block and their gradients', async () => {
  const { rows } = JSON.parse(await bench('operations', '--rows', '16', '--json'))
  expect(rows).toHaveLength(32)
  const units = new Map(rows.map(({ operation, unit }: { operation: string; unit: string }) => [operation, unit]))
  expect(units.get('linear in_proj')).toBe('GFLOP/s')
  expect(units.get('scan gradient')).toBe('ns/state')
  expect(units.get('adamw')).toBe('ns/number')
  for (const { us_per_row, rate, ratio } of rows)
    for (const x of [us_per_row, rate, ratio]) expect(x).toBeGreaterThan(0)
})
