import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { newWeight, weightOf } from '../../src/backends/weight.js'
import { saveCheckpoint } from '../../src/checkpoints/own.js'
import type { ModelSpec } from '../../src/spec.js'
import { randomWeights, seeded, tinySpec } from '../engine/models.js'
import { readParquet, readSafetensors } from '../output/read.js'
import { command } from '../run-command.js'
import { longwave, shell, temporaryFolder } from '../shell/run.js'

const folder = temporaryFolder()
const models = {
  causal: join(folder, 'causal'),
  both: join(folder, 'both'),
  fixed: join(folder, 'fixed'),
  wide: join(folder, 'wide'),
}
const reads = join(folder, 'reads.fa')
const lengths = [1, 30, 200, 7, 1000, 64]

beforeAll(async () => {
  const symmetric = { ...tinySpec('add', true), strand: 'symmetric', trained_length: 40 } satisfies ModelSpec
  const fixed = tinySpec('mamba')
  fixed.head = { kind: 'classes', labels: ['a', 'b', 'c'], pool: 'center', length: 30 }
  await saveCheckpoint(models.causal, tinySpec('mamba'), randomWeights(tinySpec('mamba')))
  await saveCheckpoint(models.both, symmetric, randomWeights(symmetric))
  await saveCheckpoint(models.fixed, fixed, randomWeights(fixed))
  const wide = tinySpec('add', false, true)
  await saveCheckpoint(models.wide, wide, randomWeights(wide))
  const random = seeded(5)
  const sequence = (length: number) => Array.from({ length }, () => 'ACGTN'[Math.floor(random() * 4.1)]).join('')
  writeFileSync(reads, lengths.map((length, i) => `>read${i} sample\n${sequence(length)}\n`).join(''))
})

const table = (text: Buffer | string) =>
  text
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t'))

describe('classify', () => {
  test('one row per record, probabilities add up to 1', async () => {
    const { code, stdout } = await command(['classify', '-m', models.causal, '--probabilities', reads])
    expect(code).toBe(0)
    const [header, ...rows] = table(stdout)
    expect(header).toEqual(['id', 'length', 'label', 'score', 'p:a', 'p:b', 'p:c'])
    expect(rows.map(([id, length]) => [id, Number(length)])).toEqual(lengths.map((length, i) => [`read${i}`, length]))
    for (const [, , label, score, ...each] of rows) {
      expect(each.reduce((sum, p) => sum + Number(p), 0)).toBeCloseTo(1, 4)
      expect(Number(score)).toBe(Math.max(...each.map(Number)))
      expect(['a', 'b', 'c'][each.indexOf(score)]).toBe(label)
    }
  })

  test.each(['causal', 'both'] as const)(
    'the same bytes whatever chunk, threads and compression (%s)',
    async (name) => {
      const plain = await command(['classify', '-m', models[name], '--probabilities', reads])
      const gz = join(folder, 'reads.fa.gz')
      writeFileSync(gz, gzipSync(readFileSync(reads)))
      for (const args of [
        ['--chunk', '60', '-t', '2'],
        ['--chunk', '6', '-t', '1'],
        ['-t', '3'],
      ]) {
        const other = await command(['classify', '-m', models[name], '--probabilities', gz, ...args])
        expect(other.stdout.toString()).toBe(plain.stdout.toString())
      }
      const input = readFileSync(reads)
      const piped = await command(['classify', '-m', models[name], '--probabilities'], { input })
      expect(piped.stdout.toString()).toBe(plain.stdout.toString())
    },
  )

  test('both strands of a symmetric model: the reverse complement gets the same probabilities', async () => {
    const complement: Record<string, string> = { A: 'T', C: 'G', G: 'C', T: 'A', N: 'N' }
    const flipped = readFileSync(reads, 'utf8').replace(/^[ACGTN]+$/gm, (s) =>
      [...s]
        .reverse()
        .map((base) => complement[base])
        .join(''),
    )
    const plus = await command(['classify', '-m', models.both, '--probabilities', reads])
    const minus = await command(['classify', '-m', models.both, '--probabilities'], { input: flipped })
    expect(minus.stdout.toString()).toBe(plus.stdout.toString())
    const one = await command(['classify', '-m', models.both, '--probabilities', '--strand', '+'], { input: flipped })
    expect(one.stdout.toString()).not.toBe(plus.stdout.toString())
  })

  test('windows have their place, and each is what the model says of it alone', async () => {
    const { stdout } = await command(['classify', '-m', models.both, '--window', '50', '--stride', '25', reads])
    const [header, ...rows] = table(stdout)
    expect(header).toEqual(['id', 'start', 'end', 'label', 'score'])
    expect(rows.filter(([id]) => id === 'read5').map(([, start, end]) => [Number(start), Number(end)])).toEqual([
      [0, 50],
      [25, 64],
    ])
    const sequence = readFileSync(reads, 'utf8').split('\n')[11].slice(25, 64)
    const alone = table((await command(['classify', '-m', models.both], { input: `>x\n${sequence}\n` })).stdout)[1]
    expect(rows.at(-1)!.slice(3)).toEqual(alone.slice(2))
  })

  test('no label takes the place of a column or of another label', async () => {
    const labels = ['length', 'id', 'p:id', '__proto__', 'constructor', 'unclassified', '', 'a\tb\nc', '7']
    const odd = tinySpec('mamba')
    odd.head = { kind: 'classes', labels, pool: 'mean' }
    const model = join(folder, 'odd labels')
    const weights = randomWeights(odd)
    const [rows, cols] = [labels.length, odd.d_model]
    const values = Array.from({ length: rows * cols }, (_, i) => (i * 7) % 5)
    weights.set('head.weight', weightOf(rows, cols, values))
    weights.set('head.bias', newWeight('f32', 1, rows))
    await saveCheckpoint(model, odd, weights)
    const input = '>r1\nACGT\n>r1\nGGGGA\n>\nA\n'
    const report = join(folder, 'odd.tsv')
    const tsv = await command(['classify', '-m', model, '--probabilities', '--report', report], { input })
    const [header, ...lines] = table(tsv.stdout)
    const escaped = labels.map((label) => label.replace('\t', '\\t').replace('\n', '\\n'))
    expect(header).toEqual(['id', 'length', 'label', 'score', ...escaped.map((label) => `p:${label}`)])
    expect(lines.map((line) => [line[0], line[1], line.length])).toEqual([
      ['r1', '4', header.length],
      ['r1', '5', header.length],
      ['', '1', header.length],
    ])
    const jsonl = await command(['classify', '-m', model, '--probabilities', '-f', 'jsonl'], { input })
    const objects = jsonl.stdout.toString().trimEnd().split('\n')
    for (const [i, object] of objects.entries()) {
      const { id, length, label, score, probabilities } = JSON.parse(object)
      expect([id, String(length), String(score)]).toEqual([lines[i][0], lines[i][1], lines[i][3]])
      expect(escaped[labels.indexOf(label)]).toBe(lines[i][2])
      // "7" comes first in an object of JavaScript, not in the line.
      expect(labels.map((name) => Object.getOwnPropertyDescriptor(probabilities, name)?.value)).toEqual(
        lines[i].slice(4).map(Number),
      )
    }
    const totals = table(readFileSync(report)).slice(1)
    expect(totals.map(([label]) => label)).toEqual([...escaped, 'unclassified'])
    expect(totals.reduce((sum, [, count]) => sum + Number(count), 0)).toBe(3)
  })

  test('--min-score and --report', async () => {
    const report = join(folder, 'report.tsv')
    const args = ['classify', '-m', models.causal, '--min-score', '1', '--report', report, '-f', 'jsonl', reads]
    const { stdout } = await command(args)
    const rows = stdout
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(rows.map(({ label }) => label)).toEqual(lengths.map(() => 'unclassified'))
    expect(table(readFileSync(report))).toEqual([
      ['label', 'count', 'percent', 'bases'],
      ['a', '0', '0', '0'],
      ['b', '0', '0', '0'],
      ['c', '0', '0', '0'],
      ['unclassified', '6', '100', String(lengths.reduce((a, b) => a + b))],
    ])
    const json = JSON.parse((await command(['classify', '-m', models.causal, '-f', 'json', reads])).stdout.toString())
    expect(json).toHaveLength(lengths.length)
  })

  test('what is left out is counted on the last line', async () => {
    const input = '>empty\n>short\nAC\n>good\nACGTACGT\n>long\nACGTACGTACGT\n>protein\nMKLV\n>good2\nGGGGGGGG\n'
    const args = ['classify', '-m', models.causal, '--min-length', '4', '--max-length', '9', '--on-error', 'skip']
    const { code, stdout, stderr } = await command(args, { input })
    expect(code).toBe(0)
    expect(table(stdout).map(([id]) => id)).toEqual(['id', 'good', 'good2'])
    expect(stderr.trimEnd().split('\n').at(-1)).toMatch(/left out: 1 empty, 1 too short, 1 too long, 1 bad records$/)
    expect(stderr).toMatch(/^2 records /m)
    const windows = ['classify', '-m', models.causal, '--min-length', '4', '--window', '5']
    const cut = await command(windows, { input: '>a\nACGTACG\n>b\nACGTACGTA\n>c\nACG\n' })
    expect(table(cut.stdout).slice(1)).toHaveLength(3)
    expect(cut.stderr).toMatch(/^3 windows .*; left out: 1 too short, 1 last windows too short$/m)
  })

  test('bad input: one line, the right exit code, no file', async () => {
    const out = join(folder, 'out.tsv')
    const bad = await command(['classify', '-m', models.causal, '-o', out], { input: '>p\nACGT\n>q\nMKLV\n' })
    expect([bad.code, bad.stderr.trimEnd().split('\n').length]).toEqual([65, 1])
    expect(bad.stderr).toMatch(/record q, line 4/)
    expect(() => readFileSync(out)).toThrow('ENOENT')
    expect((await command(['classify', reads])).code).toBe(2)
    expect((await command(['classify', '-m', models.causal, join(folder, 'nothing.fa')])).code).toBe(66)
    expect((await command(['classify', '-m', join(folder, 'nothing'), reads])).code).toBe(69)
    expect((await command(['classify', '-m', models.causal, '--stride', '5', reads])).code).toBe(2)
  })

  test('a model of one length turns other lengths away, or counts them', async () => {
    const bad = await command(['classify', '-m', models.fixed, reads])
    expect([bad.code, bad.stderr]).toEqual([65, expect.stringMatching(/record read0, line 1: 1 bases, .* exactly 30/)])
    const { code, stdout, stderr } = await command(['classify', '-m', models.fixed, '--on-error', 'skip', reads])
    expect([code, table(stdout).length]).toEqual([0, 2])
    expect(stderr).toMatch(/left out: 5 of a length/)
  })

  test('a record far longer than the model knows gives one warning', async () => {
    const { stderr } = await command(['classify', '-m', models.both, reads, reads])
    expect(stderr.match(/trained on 40 bases/g)).toHaveLength(1)
  })

  test('a reader that stops early or is slow: exit 0, nothing lost', async () => {
    const many = join(folder, 'many.fa')
    writeFileSync(many, Array.from({ length: 15000 }, (_, i) => `>a_long_enough_name_of_a_read_${i}\nACGT\n`).join(''))
    const run = `longwave classify -q -m ${JSON.stringify(models.causal)} ${JSON.stringify(many)}`
    const head = await shell(`set -o pipefail; ${run} | head -n 3 > /dev/null; echo "\${PIPESTATUS[0]}"`)
    expect([head.stdout.toString().trim(), head.stderr]).toEqual(['0', ''])
    const slow = await shell(`${run} | (sleep 1; wc -l)`)
    expect(Number(slow.stdout)).toBe(15001)
  })
})

test('a run leaves nothing in the home and temporary folders: no caches, no telemetry of libraries', async () => {
  const [home, tmp] = ['home', 'tmp'].map((name) => join(folder, name))
  for (const path of [home, tmp]) mkdirSync(path)
  const env = { HOME: home, TMPDIR: tmp, XDG_CACHE_HOME: '', XDG_DATA_HOME: '', XDG_STATE_HOME: '' }
  const { code } = await longwave(['classify', '-m', models.wide, '-t', '2', reads], { env })
  expect([code, readdirSync(home), readdirSync(tmp)]).toEqual([0, [], []])
})

test.each([
  ['INT', 130],
  ['TERM', 143],
])('SIG%s while worker threads compute: exit %i, no output, nothing left behind', async (signal, code) => {
  const out = join(folder, `stopped ${signal}`)
  mkdirSync(out)
  const line = `set -m; (cat ${JSON.stringify(reads)}; sleep 60) | longwave classify -m ${JSON.stringify(models.both)} -o "${out}/calls.tsv" &
    sleep 1.5; kill -${signal} %1; wait %1; echo $?`
  const { stdout } = await shell(line)
  expect([Number(stdout), readdirSync(out)]).toEqual([code, []])
})

describe('embed', () => {
  test('keeps records of one id apart, also where a long one comes in pieces', async () => {
    const [twice, output] = [join(folder, 'twice.fa'), join(folder, 'twice.npy')]
    writeFileSync(twice, '>r\nACGTACGT\n>r\nGGTTACG\n>r\nAC\n')
    for (const [pool, rows] of [
      ['mean', ['8 0 1', '7 1 1', '2 2 1']],
      ['none', ['8 0 8', '7 8 7', '2 15 2']],
    ] as const) {
      const args = ['embed', '-m', models.causal, '--pool', pool, '--chunk', '3', '-q', '--force', '-o', output, twice]
      expect((await command(args)).code).toBe(0)
      const [, ...lines] = table(readFileSync(`${output}.ids.tsv`))
      expect(lines.map(([id, ...place]) => [id, place.join(' ')])).toEqual(rows.map((row) => ['r', row]))
    }
  })

  test('npy with ids beside it', async () => {
    const out = join(folder, 'reads.npy')
    const { code } = await command(['embed', '-m', models.causal, '-o', out, reads])
    expect(code).toBe(0)
    const bytes = readFileSync(out)
    expect(bytes.toString('latin1', 10, 128)).toContain("'descr': '<f4', 'fortran_order': False, 'shape': (6, 7)")
    const jsonl = await command(['embed', '-m', models.causal, '-f', 'jsonl', reads])
    const rows = jsonl.stdout
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset + 128, bytes.byteOffset + bytes.length))
    expect([...values]).toEqual(rows.flatMap(({ embedding }) => [...Float32Array.from(embedding)]))
    expect(table(readFileSync(`${out}.ids.tsv`))).toEqual([
      ['id', 'length', 'row', 'rows'],
      ...lengths.map((length, i) => [`read${i}`, String(length), String(i), '1']),
    ])
  })

  test.each([[], ['--window', '100', '--stride', '60'], ['--bin', '30'], ['--pool', 'none', '--window', '100']])(
    'parquet holds what JSON lines hold, safetensors what .npy holds: %s %s %s %s',
    async (...how) => {
      const at = (suffix: string) => join(folder, `same.${suffix}`)
      for (const suffix of ['parquet', 'jsonl', 'safetensors', 'npy'])
        expect(
          await command(['embed', '-m', models.causal, '-q', '--force', ...how, '-o', at(suffix), reads]),
        ).toMatchObject({ code: 0 })
      const lines = readFileSync(at('jsonl'), 'utf8').trimEnd().split('\n')
      const rows = lines.map((line) => JSON.parse(line))
      expect(await readParquet(at('parquet'))).toEqual(
        rows.map((row) => ({ ...row, embedding: [...Float32Array.from(row.embedding)] })),
      )
      const { shape, values } = readSafetensors(readFileSync(at('safetensors'))).embeddings
      expect(shape).toEqual([rows.length, 7])
      expect(Buffer.from(values.buffer).equals(readFileSync(at('npy')).subarray(128))).toBe(true)
      expect(readFileSync(`${at('safetensors')}.ids.tsv`)).toEqual(readFileSync(`${at('npy')}.ids.tsv`))
    },
  )

  test('--pool none keeps all rows, streamed records included', async () => {
    const all = join(folder, 'all.npy')
    await command(['embed', '-m', models.causal, '--pool', 'none', '--chunk', '50', '-o', all, reads])
    const bases = lengths.reduce((a, b) => a + b)
    expect(readFileSync(all).toString('latin1', 10, 128)).toContain(`'shape': (${bases}, 7)`)
    const rows = table(readFileSync(`${all}.ids.tsv`)).slice(1)
    expect(rows.map(([, length, , count]) => [length, count])).toEqual(lengths.map((n) => [String(n), String(n)]))
    const again = join(folder, 'again.npy')
    await command(['embed', '-m', models.causal, '--pool', 'none', '-o', again, reads])
    expect(readFileSync(again)).toEqual(readFileSync(all))
  })

  test('records of one id keep their own rows: mates beside each other, the same ids in two files', async () => {
    const mates = join(folder, 'mates.fa')
    writeFileSync(mates, '>x\nACGTA\n>x\nACG\n>\nAA\n>\nC\n')
    for (const pool of ['mean', 'none'])
      for (const window of [[], ['--window', '100']]) {
        const out = join(folder, `mates ${pool} ${window.length}.npy`)
        await command(['embed', '-m', models.causal, '--pool', pool, ...window, '-o', out, mates, mates])
        const rows = table(readFileSync(`${out}.ids.tsv`)).slice(1)
        const lengths = [5, 3, 2, 1, 5, 3, 2, 1]
        const before = (i: number) => lengths.slice(0, i).reduce((a, b) => a + b, 0)
        expect(rows).toEqual(
          lengths.map((length, i) => [
            i % 4 < 2 ? 'x' : '',
            ...(window.length > 0 ? ['0'] : []),
            String(length),
            ...(pool === 'none' ? [before(i), length] : [i, 1]).map(String),
          ]),
        )
      }
  })

  test.each([
    ['causal', 1],
    ['stem', 6],
  ] as const)('--pool none says what each row stands for, from a file or a pipe (%s)', async (name, size) => {
    const spec = tinySpec('mamba', size > 1)
    const model = join(folder, `rows ${name}`)
    await saveCheckpoint(model, spec, randomWeights(spec))
    const args = ['embed', '-m', model, '--pool', 'none', '-f', 'jsonl']
    const file = await command([...args, reads])
    const rows = file.stdout.toString().trimEnd().split('\n')
    const spans = lengths.flatMap((length, i) =>
      Array.from({ length: Math.ceil(length / size) }, (_, row) => [
        `read${i}`,
        row * size,
        Math.min(length, (row + 1) * size),
      ]),
    )
    const placed = (lines: string[]) =>
      lines.map((line) => JSON.parse(line)).map(({ id, start, end }) => [id, start, end])
    expect(placed(rows)).toEqual(spans)
    const quoted = [model, reads].map((path) => JSON.stringify(path))
    const run = `longwave embed -m ${quoted[0]} --pool none -f jsonl --chunk 30`
    const pipe = await shell(`(head -c 77 ${quoted[1]}; sleep 0.5; tail -c +78 ${quoted[1]}) | ${run}`)
    expect(pipe.stdout.equals(file.stdout)).toBe(true)
    expect((await command(args, { input: readFileSync(reads) })).stdout.equals(file.stdout)).toBe(true)
    const minus = await command([...args, '--strand', '-', reads])
    expect(placed(minus.stdout.toString().trimEnd().split('\n'))).toEqual(
      lengths.flatMap((length, i) =>
        spans
          .filter(([id]) => id === `read${i}`)
          .map(([id, start, end]) => [id, length - Number(end), length - Number(start)]),
      ),
    )
    const windows = await command([...args, '--window', '12', '--stride', '6'], { input: '>w\nACGTACGTACGTACG\n' })
    const found = windows.stdout
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(found.map(({ window, start, end }) => [window, start, end])).toEqual(
      [0, 6].flatMap((window) => {
        const end = Math.min(window + 12, 15)
        const rows = Math.ceil((end - window) / size)
        return Array.from({ length: rows }, (_, r) => [
          window,
          window + r * size,
          Math.min(window + (r + 1) * size, end),
        ])
      }),
    )
  })

  test('--bin: a vector for every so many bases of a record that is read whole, whatever the chunk', async () => {
    const out = join(folder, 'bins.npy')
    for (const [name, bin, size] of [
      ['causal', 30, 7],
      ['both', 24, 7],
    ] as const) {
      const args = ['embed', '-m', models[name], '-q', '--bin', String(bin), reads]
      const jsonl = await command([...args, '-f', 'jsonl', '--strand', '+'])
      const rows = jsonl.stdout
        .toString()
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line))
      const bins = lengths.flatMap((length, r) =>
        Array.from({ length: Math.ceil(length / bin) }, (_, i) => [
          `read${r}`,
          i * bin,
          Math.min(length, (i + 1) * bin),
        ]),
      )
      expect(rows.map(({ id, start, end }) => [id, start, end])).toEqual(bins)
      // The mean of the rows in it, which see all of the record.
      const all = await command(['embed', '-m', models[name], '-q', '--pool', 'none', '-f', 'jsonl', reads])
      const each = all.stdout
        .toString()
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line))
      for (const { id, start, end, embedding } of rows) {
        const inside = each.filter((row) => row.id === id && row.start >= start && row.end <= end)
        const mean = inside.reduce((sum, row) => sum + row.embedding[3], 0) / inside.length
        expect(embedding[3]).toBeCloseTo(mean, 5)
      }
      for (const more of [
        ['--chunk', '12'],
        ['-t', '2'],
      ]) {
        expect((await command([...args, ...more, '--force', '-o', out])).code).toBe(0)
        const bytes = readFileSync(out)
        expect(bytes.toString('latin1', 10, 128)).toContain(`'shape': (${bins.length}, ${size}), }`)
        const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset + 128, bytes.byteOffset + bytes.length))
        expect([...values]).toEqual(rows.flatMap(({ embedding }) => [...Float32Array.from(embedding)]))
        expect(table(readFileSync(`${out}.ids.tsv`))).toEqual([
          ['id', 'start', 'end', 'row', 'rows'],
          ...bins.map((bin, row) => [...bin, row, 1].map(String)),
        ])
      }
    }
    const minus = await command(['embed', '-m', models.causal, '--bin', '5', '-f', 'jsonl', '--strand', '-'], {
      input: '>a\nACGTACG\n',
    })
    const ends = minus.stdout
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(ends.map(({ start, end }) => [start, end])).toEqual([
      [2, 7],
      [0, 2],
    ])
  })

  test.each([
    [['--bin', '10', '--window', '20'], '--bin is for records that are read whole: leave --window out'],
    [['--bin', '10', '--pool', 'none'], '--bin gives the mean of each bin: leave --pool none out'],
    [['--bin', '10', '--strand', 'both'], '--bin reads one strand: use --strand + or -'],
    [['--bin', '10', '-m', 'both'], '--bin 10: expected a multiple of 6 bases, of which this model makes a row'],
    [['--bin', '0'], 'expected a number from'],
  ])('%j is a usage error (2)', async (args, line) => {
    const model = args.includes('-m') ? models.both : models.causal
    const flags = args.map((arg) => (arg === 'both' && args.includes('-m') ? model : arg))
    const given = args.includes('-m') ? flags : ['-m', model, ...flags]
    const { code, stderr } = await command(['embed', ...given, '-f', 'jsonl', reads])
    expect([code, stderr]).toEqual([2, expect.stringContaining(line)])
  })

  test('--layer and --pool choose among what the model has', async () => {
    const run = (...args: string[]) => command(['embed', '-m', models.causal, '-f', 'jsonl', reads, ...args])
    const last = (await run()).stdout.toString()
    expect((await run('--layer', '2')).stdout.toString()).toBe(last)
    expect((await run('--layer', '0')).stdout.toString()).not.toBe(last)
    expect((await run('--layer', '3')).code).toBe(2)
    expect((await run('--pool', 'max')).stdout.toString()).not.toBe(last)
    expect((await run('--pool', 'none', '--strand', 'both')).code).toBe(2)
    expect((await command(['embed', '-m', models.causal, reads])).code).toBe(2) // npy to standard output
  })
})
