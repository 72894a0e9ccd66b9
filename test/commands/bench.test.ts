import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import type { Tensor } from '../../src/backends/backend.js'
import { openCpuBackend } from '../../src/backends/cpu/cpu.js'
import { wholeSegments } from '../../src/backends/segments.js'
import { chunkOf, scanInChunks } from '../../src/bench/chunked-scan.js'
import { compared } from '../../src/bench/equality.js'
import { rowsOf } from '../../src/bench/inference.js'
import { rowsOf as longRows } from '../../src/bench/long.js'
import { longPlot } from '../../src/bench/long-plot.js'
import { writeRandomModel, writeRandomTranscriber } from '../../src/bench/models.js'
import { benchReport } from '../../src/bench/report.js'
import { interleaved, median } from '../../src/bench/rounds.js'
import { openTags } from '../output/report/tags.js'
import { command } from '../run-command.js'

// Sizes are tiny: what is tested is that the commands run and what they print, never how fast.

const scratch = mkdtempSync(join(tmpdir(), 'longwave bench '))
afterAll(() => rmSync(scratch, { recursive: true }))

async function bench(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await command(['bench', ...args, '--rounds', '1', '-q'], {
    env: { TMPDIR: scratch },
  })
  expect([stderr, code]).toEqual(['', 0])
  // ONNX Runtime may leave files of its own here.
  expect(readdirSync(scratch).filter((name) => name.startsWith('longwave'))).toEqual([])
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

test('bench classify prints a line on the machine and a row per input and number of threads', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'longwave model '))
  await writeRandomModel(folder, { layers: 1, d_model: 8, bidirectional: true }, 400)
  const text = await bench('classify', '-m', folder, '-t', '2', '--tokens', '3000')
  rmSync(folder, { recursive: true })
  const [machine, blank, headings, ...rows] = text.trim().split('\n')
  expect(machine).toMatch(
    /^# .+, \d+ of \d+ cores, Node \d+\..+; (plain|relaxed) SIMD kernels, matrix products by .+; median of 1 rounds$/,
  )
  expect(blank).toBe('')
  expect(headings.split(/ {2,}/)).toEqual(
    ['model', 'input', 'threads', 'tokens per second', 'ratio', 'start seconds', 'peak mib'], // biome-ignore format: a table
  )
  expect(rows.map((row) => row.split(/ {2,}/).slice(0, 3))).toEqual([
    [basename(folder), 'reads of 150 bp', '1'],
    [basename(folder), 'reads of 150 bp', '2'],
    [basename(folder), 'windows of 400 bp', '1'],
    [basename(folder), 'windows of 400 bp', '2'],
    [basename(folder), 'one record of 3000 bp', '1'],
    [basename(folder), 'one record of 3000 bp', '2'],
  ])
})

test('models with different numbers of inputs keep their own measurements', () => {
  const load = (name: string) => ({ name, input: { bases: 100 } })
  const planned = [
    { model: { name: 'a' }, loads: [load('reads'), load('record')] },
    { model: { name: 'b' }, loads: [load('reads')] },
  ]
  // Start and loads of a with one thread and with two, then of b.
  const seconds = [1, 11, 21, 2, 7, 12, 3, 8, 4, 6]
  const measured = seconds.map((each) => ({ seconds: each, peakBytes: each * 2 ** 20 }))
  const rows = rowsOf(planned, [1, 2], measured)
  expect(
    rows.map((r) => [r.model, r.input, r.threads, r.tokens_per_second, r.ratio, r.start_seconds, r.peak_mib]),
  ).toEqual([
    ['a', 'reads', 1, 10, 1, 1, 11],
    ['a', 'reads', 2, 20, 2, 2, 7],
    ['a', 'record', 1, 5, 1, 1, 21],
    ['a', 'record', 2, 10, 2, 2, 12],
    ['b', 'reads', 1, 20, 1, 3, 8],
    ['b', 'reads', 2, 50, 2.5, 4, 6],
  ])
})

test('bench embed measures what a process takes', async () => {
  const args = ['--layers', '1', '--d-model', '8', '-t', '1', '--tokens', '3000', '--json']
  const { bench: name, rounds, rows } = JSON.parse(await bench('embed', ...args))
  expect([name, rounds]).toEqual(['bench embed', 1])
  expect(rows.map(({ model, input }: Record<string, string>) => `${model}: ${input}`)).toEqual([
    'causal 1 x 8: reads of 150 bp',
    'causal 1 x 8: windows of 500 bp',
    'causal 1 x 8: one record of 3000 bp',
    'bidirectional 1 x 8: reads of 150 bp',
    'bidirectional 1 x 8: windows of 500 bp',
    'bidirectional 1 x 8: one record of 3000 bp',
  ])
  for (const { peak_mib, start_seconds } of rows) {
    expect(peak_mib).toBeGreaterThan(20) // Node alone takes more
    expect(start_seconds).toBeGreaterThan(0)
  }
})

test('bench transcribe has a minute and many, each read through a pipe', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'longwave model '))
  await writeRandomTranscriber(folder, { layers: 1, d_model: 8, bidirectional: false })
  const { rows } = JSON.parse(await bench('transcribe', '-m', folder, '-t', '1', '--minutes', '5', '--json'))
  rmSync(folder, { recursive: true })
  expect(rows.map(({ minutes, threads }: Record<string, number>) => [minutes, threads])).toEqual([
    [1, 1],
    [5, 1],
  ])
  expect(rows[1].real_time).toBeGreaterThan(1)
  for (const { peak_mib, real_time } of rows) {
    expect(peak_mib).toBeGreaterThan(20)
    // Null where a minute takes no longer than a second: what it takes is less than what the start varies by.
    if (real_time !== null) expect(real_time).toBeGreaterThan(1)
  }
})

test('a command that fails inside a benchmark is reported as its own error', async () => {
  const { code, stderr } = await command(['bench', 'classify', '-m', join(scratch, 'none')])
  expect(code).toBe(69)
  expect(stderr).toMatch(/^longwave: .*none: no such model; .*\n$/)
})

test('bench train gives tokens per second and the ratio to one thread', async () => {
  const { rows } = JSON.parse(await bench('train', ...tiny, '--length', '20', '--json'))
  expect(rows.map(({ threads }: { threads: number }) => threads)).toEqual([1, 2])
  expect(rows[0]).toMatchObject({ model: 'causal 1 x 8', records: '64 of 20 bp', ratio: 1 })
  expect(rows[1].tokens_per_second / rows[0].tokens_per_second).toBeCloseTo(rows[1].ratio, 10)
})

test('bench fasta has both readers on both inputs, and both read all bases', async () => {
  const [, , headings, ...rows] = (await bench('fasta', '--megabytes', '1')).trim().split('\n')
  expect(headings.split(/ {2,}/)).toEqual(['input', 'reader', 'mb per second', 'ratio'])
  const cells = rows.map((row) => row.split(/ {2,}/))
  expect(cells.map(([input, reader]) => `${input}: ${reader}`)).toEqual([
    'one long record, 60 columns: longwave',
    'one long record, 60 columns: bionode-fasta',
    'reads of 150 bp: longwave',
    'reads of 150 bp: bionode-fasta',
  ])
  expect([cells[1][3], cells[3][3]]).toEqual(['1', '1'])
})

test('bench scan sets scans beside their bounds, products by each kernel, and models beside cpu', async () => {
  const args = ['-d', 'cpu', '--rows', '8,16', '--batch', '3', '--tokens', '60', '--json']
  const { scans, products, models } = JSON.parse(await bench('scan', ...args))
  expect(scans.map(({ d_inner, rows, batch }: Record<string, number>) => [d_inner, rows, batch])).toEqual(
    [[512, 8, 3], [512, 16, 3], [1536, 8, 3], [1536, 16, 3]], // biome-ignore format: a table
  )
  for (const row of scans) {
    expect(row.chunk).toBe(row.rows)
    const shares = {
      copy: row.scan_gb_per_second / row.copy_gb_per_second,
      exp: row.scan_gexp_per_second / row.exp_gexp_per_second,
    }
    // The larger share is that of the bound that takes longer.
    expect(row.bound).toBe(shares.copy > shares.exp ? 'copy' : 'exp')
    expect(row.share).toBeCloseTo(Math.max(shares.copy, shares.exp), 10)
    expect(row.share).toBeGreaterThan(0)
  }
  const kernels = products.map(({ product, kernel }: Record<string, string>) => `${product} ${kernel}`)
  expect(kernels).toContain('256 to 1024 own kernel')
  expect(kernels.slice(kernels.length / 2)).toContain('768 to 3072 own kernel')
  for (const wanted of ['256 to 1024', '768 to 3072']) {
    const ofOne = products.filter(({ product }: { product: string }) => product === wanted)
    expect(Math.max(...ofOne.map(({ share }: { share: number }) => share))).toBe(1)
  }
  expect(models.map(({ model, device, tokens }: Record<string, unknown>) => [model, device, tokens])).toEqual([
    ['causal 4 x 128', 'cpu', 60],
    ['causal 16 x 256', 'cpu', 60],
  ])
})

test('a report has a table after the other, without those that are empty', async () => {
  const tables = { scans: [{ d_inner: 512, ms: 0.12345 }], models: [], products: [{ kernel: 'own', share: null }] }
  const text = await benchReport({ bench: 'bench scan', rounds: 2, tables }, false)
  const [machine, ...rest] = text.split('\n\n')
  expect(machine).toMatch(/^# .*; median of 2 rounds$/)
  expect(rest).toEqual(['d inner  ms\n    512  0.123', 'kernel  share\nown     -\n'])
  expect(JSON.parse(await benchReport({ bench: 'bench scan', rounds: 2, tables }, true))).toMatchObject(tables)
})

test.each([
  ['--rows', '4096,x', "expected a whole number from 1 to 16777216, got 'x'"],
  ['--batch', '0', "expected a whole number from 1 to 4096, got '0'"],
])('bench scan %s %s is a usage error', async (flag, value, message) => {
  const { code, stderr } = await command(['bench', 'scan', flag, value])
  expect([code, stderr]).toEqual([2, expect.stringContaining(message)])
})

test('a sequence that no tensor holds is scanned chunk by chunk, with the same result', async () => {
  const shape = { E: 8, batch: 3, rows: 300 }
  const rowBytes = 3 * 8 * 4
  expect([chunkOf(shape, 300 * rowBytes), chunkOf(shape, 299 * rowBytes), chunkOf(shape, 1)]).toEqual([300, 256, 1])

  const backend = await openCpuBackend()
  const { args, scan } = scanInChunks(backend, shape, 128)
  const last = await backend.download(scan())
  // Each chunk takes its rows from the beginning of the tensors, the last one 44 of each sequence.
  const rows = Int32Array.from({ length: 3 * 300 }, (_, i) => {
    const [s, t] = [Math.floor(i / 300), i % 300]
    return s * (t < 256 ? 128 : 44) + (t % 128)
  })
  const all = (x: Tensor) => backend.gatherRows(x, rows)
  const { u, dt, z, B, C } = args
  const whole = { u: all(u), dt: all(dt), z: all(z!), B: all(B), C: all(C) }
  const segments = wholeSegments(Int32Array.of(0, 300, 600, 900))
  const y = backend.selectiveScan({ ...args, ...whole, segments }, null)
  const ends = Int32Array.from({ length: 3 * 44 }, (_, i) => Math.floor(i / 44) * 300 + 256 + (i % 44))
  expect(last).toEqual(await backend.download(backend.gatherRows(y, ends)))
  await backend.close()
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

test('bench long has records of growing length, a limit on memory that changes no byte, and the rows of reference', async () => {
  const text = await bench('long', ...tiny, '--tokens', '60000', '--max-memory', '170M', '--reference', '300', '--json')
  const { rows, equality } = JSON.parse(text)
  const columns = ['model', 'tokens', 'max_memory_mib', 'threads', 'us_per_token', 'ratio', 'peak_mib', 'peak_ratio', 'same_bytes'] // biome-ignore format: a table
  expect(Object.keys(rows[0])).toEqual(columns)
  const known = rows.map((row: Record<string, unknown>) => [row.model, row.tokens, row.max_memory_mib, row.same_bytes])
  expect(known).toEqual([
    ...[960, 3780, 15_000, 60_000].map((tokens) => ['causal 1 x 8', tokens, null, null]),
    ...[960, 3780, 15_000, 60_000].map((tokens) => ['bidirectional 1 x 8', tokens, null, null]),
    ['bidirectional 1 x 8', 60_000, 170, true],
  ])
  for (const { peak_mib } of rows) expect(peak_mib).toBeGreaterThan(50)
  expect(rows[8].peak_mib).toBeLessThan(170)
  expect(equality).toMatchObject([{ model: 'bidirectional 1 x 8', tokens: 300, equal: true }])
  expect(equality[0].worst_difference).toBeGreaterThan(0)
})

test('rows that differ by more than roundings are not equal', () => {
  const expected = Float32Array.of(1, -4, 2)
  expect(compared(Float32Array.of(1.00006, -4, 2), expected)).toMatchObject({ largest: 4, equal: true })
  expect(compared(Float32Array.of(1.00007, -4, 2), expected).equal).toBe(false)
  expect(compared(Float32Array.of(1, Number.NaN, 2), expected).equal).toBe(false)
  expect(compared(Float32Array.of(1, -4), expected).equal).toBe(false)
})

test('the plot of bench long has a mark for each run, and what attention would take as dashes', () => {
  const row = (kind: string, tokens: number, limit: number | null, us: number, mib: number) => ({
    model: `${kind} 16 x 256`,
    tokens,
    max_memory_mib: limit,
    threads: 1,
    us_per_token: us,
    ratio: 1,
    peak_mib: mib,
    peak_ratio: 1,
    same_bytes: null,
  })
  const rows = [
    row('causal', 256, null, -50, 200),
    ...[1024, 4096, 16_384].map((tokens) => row('causal', tokens, null, 100, 240)),
    row('bidirectional', 256, null, 200, 240),
    ...[1024, 4096, 16_384].map((tokens) => row('bidirectional', tokens, null, 200, 300)),
    row('bidirectional', 16_384, 512, 200, 250),
  ]
  const svg = longPlot({ machine: { cpu: 'A <fast> one' }, rows })
  expect(openTags(svg)).toEqual([])
  expect(svg).toContain('1 thread of A &lt;fast&gt; one')
  expect(svg).not.toMatch(/NaN|Infinity|undefined/)
  expect(svg.match(/<circle/g)).toHaveLength(7 + 9)
  // A start that takes longer than the record has no time. 0.1 s at 1,024 bases are 26 at 16 times as many; a matrix of scores of those is 1 GiB.
  for (const text of ['>100<', '>4 GiB<', '>16 MiB<', '>both ways in 512 MiB<']) expect(svg).toContain(text)
  expect(svg).not.toContain('>64 GiB<')
  expect(svg.match(/, computed</g)).toHaveLength(3)
})

test('its ratios are against the record of a sixteenth through the same model', () => {
  const [one, first, short, long] = [{ bases: 150 }, { bases: 50 }, { bases: 100 }, { bases: 1000 }]
  const usages = [1, 2, 3, 31, 41].map((seconds, i) => ({ seconds, peakBytes: (i + 1) * 2 ** 20 }))
  const cases = [...[one, first, short, long].map((input) => ({ input })), { input: long, maxMemory: 2 ** 29 }]
  expect(longRows('m', 2, cases, usages, ['', 'z', 'a', 'b', 'c'])).toMatchObject([
    { tokens: 50, us_per_token: 20_000, ratio: 1, peak_mib: 2, peak_ratio: 2 / 3, same_bytes: null },
    { tokens: 100, us_per_token: 20_000, ratio: 1, peak_mib: 3, peak_ratio: 1, same_bytes: null },
    { tokens: 1000, us_per_token: 30_000, ratio: 1.5, peak_mib: 4, peak_ratio: 4 / 3, same_bytes: null },
    { max_memory_mib: 512, us_per_token: 40_000, ratio: 2, peak_ratio: 5 / 3, same_bytes: false },
  ])
})
