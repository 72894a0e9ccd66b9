import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { saveCheckpoint } from '../../src/checkpoints/own.js'
import { packageRoot } from '../../src/runtime/package-root.js'
import type { ModelSpec } from '../../src/spec.js'
import { randomWeights, seeded, tinySpec } from '../engine/models.js'
import { command } from '../run-command.js'
import { temporaryFolder } from '../shell/run.js'
import { complement, maskedBases, nextBases } from './likelihoods.js'

const folder = temporaryFolder()
const path = (name: string) => join(folder, name)
const random = seeded(11)
const dna = (length: number) => Array.from({ length }, () => 'ACGT'[Math.floor(4 * random())]).join('')
const records: Record<string, string> = {
  long: dna(3001),
  n: `NN${dna(50)}NNN${dna(7)}N`,
  one: 'A',
  two: 'AC',
  nothing: 'NNNN',
}

beforeAll(async () => {
  const spec: ModelSpec = { ...tinySpec('mamba'), head: { kind: 'tokens', tied: true }, strand: 'symmetric' }
  const weights = randomWeights(spec)
  await saveCheckpoint(path('model'), spec, weights)
  const both: ModelSpec = { ...tinySpec('add'), head: { kind: 'tokens', tied: true } }
  await saveCheckpoint(path('both'), both, randomWeights(both))
  writeFileSync(
    path('x.fa'),
    Object.entries(records)
      .map(([id, text]) => `>${id}\n${text}\n`)
      .join(''),
  )
})

const score = async (...args: string[]) => {
  const { code, stdout, stderr } = await command([
    'score',
    '-q',
    '-m',
    path('model'),
    '-f',
    'json',
    ...args,
    path('x.fa'),
  ])
  expect([code, stderr]).toEqual([0, ''])
  return JSON.parse(stdout.toString())
}

const expected = (text: string) => nextBases(path('model'), text)

describe('score', () => {
  test('is the sum over the bases of a strand, N and the first left out, whatever the chunk', async () => {
    for (const chunk of ['64', '1000', '4096']) {
      const rows = await score('--strand', '+', '--chunk', chunk)
      expect(rows.map((row: { id: string }) => row.id)).toEqual(Object.keys(records))
      for (const { id, length, bases, log_likelihood, bits_per_base, perplexity } of rows) {
        const [nats, count] = await expected(records[id])
        expect([length, bases]).toEqual([records[id].length, count])
        expect(log_likelihood).toBeCloseTo(nats, 3 - Math.round(Math.log10(1 + count)))
        if (count === 0) expect([bits_per_base, perplexity]).toEqual([null, null])
        else {
          expect(bits_per_base).toBeCloseTo(-nats / count / Math.LN2, 4)
          expect(perplexity).toBeCloseTo(2 ** bits_per_base, 3)
        }
      }
    }
  })

  test('of both strands is their mean, which a symmetric model gives by default', async () => {
    const rows = await score()
    for (const { id, log_likelihood, bits_per_base } of rows) {
      const [[one, n], [other, m]] = [await expected(records[id]), await expected(complement(records[id]))]
      expect(log_likelihood).toBeCloseTo((one + other) / 2, 2 - Math.round(Math.log10(1 + n)))
      if (n + m > 0) expect(bits_per_base).toBeCloseTo(-(one + other) / (n + m) / Math.LN2, 4)
    }
    expect(await score('--strand', 'both', '-t', '2', '--chunk', '500')).toEqual(rows)
    const [minus] = await score('--strand', '-')
    expect(minus.log_likelihood).toBeCloseTo((await expected(complement(records.long)))[0], 0)
  })

  test('of windows, each by itself', async () => {
    const rows = await score('--window', '1000', '--strand', '+')
    const long = rows.filter(({ id }: { id: string }) => id === 'long')
    expect(long.map(({ start, end, bases }: Record<string, number>) => [start, end, bases])).toEqual([
      [0, 1000, 999], [1000, 2000, 999], [2000, 3000, 999], [3000, 3001, 0],
    ]) // biome-ignore format: one list
    const [nats] = await expected(records.long.slice(1000, 2000))
    expect(long[1].log_likelihood).toBeCloseTo(nats, 0)
  })

  test('of single bases is bedGraph, a file for each strand, or JSON lines, and adds up', async () => {
    const [plus, minus] = [path('t.plus.bedgraph'), path('t.minus.bedgraph')]
    const rows = await score('--per-token', path('t.bedgraph'), '--chunk', '1000')
    const lines = [plus, minus].map((file) =>
      readFileSync(file, 'utf8')
        .trim()
        .split('\n')
        .map((line) => line.split('\t')),
    )
    for (const all of lines) {
      let before: string[] = []
      for (const line of all) {
        // Four columns; half-open from 0; sorted in each record, without overlaps, each record once.
        expect(line).toEqual([expect.any(String), expect.stringMatching(/^\d+$/), String(Number(line[1]) + 1), line[3]])
        expect(Number(line[3])).toBeLessThanOrEqual(0)
        if (line[0] === before[0]) expect(Number(line[1])).toBeGreaterThanOrEqual(Number(before[2]))
        before = line
      }
      const names = all.map(([name]) => name)
      expect(names.filter((name, i) => name !== names[i - 1])).toEqual([...new Set(names)])
      expect(all.every(([name, , end]) => Number(end) <= records[name].length)).toBe(true)
    }
    for (const { id, log_likelihood } of rows) {
      const sums = lines.map((all) =>
        all.filter(([name]) => name === id).reduce((sum, cells) => sum + Number(cells[3]), 0),
      )
      expect((sums[0] + sums[1]) / 2).toBeCloseTo(log_likelihood, 1)
    }
    // A strand says nothing of the base that it begins with, and of N.
    const places = lines.map((all) => all.filter(([name]) => name === 'n').map(([, start]) => Number(start)))
    const bases = [...records.n].flatMap((base, i) => (base === 'N' ? [] : [i]))
    expect(places).toEqual([bases, bases])
    expect(lines.map((all) => all.filter(([name]) => name === 'two').map(([, start, end]) => [start, end]))).toEqual([
      [['1', '2']],
      [['0', '1']],
    ])
    await score('--per-token', path('t.jsonl'), '--window', '1000', '--stride', '500')
    const tokens = readFileSync(path('t.jsonl'), 'utf8').trim().split('\n')
    const objects = tokens.map((line) => JSON.parse(line)).filter(({ id }) => id === 'two')
    expect(objects.map(({ start, strand, base }) => [start, strand, base])).toEqual([
      [1, '+', 'C'],
      [0, '-', 'T'],
    ])
    expect(Number(lines[0].at(-1)![3])).toBeCloseTo(objects[0].log_probability, 4)
    const overlap = await command([
      'score',
      '-m',
      path('model'),
      '--window',
      '9',
      '--stride',
      '3',
      '--per-token',
      'x.bg',
    ])
    expect([overlap.code, overlap.stderr]).toEqual([2, expect.stringMatching(/windows that do not overlap/)])
  })

  test.each(['caduceus-ph', 'caduceus-ps', 'caduceus-m2-ps'])(
    'of %s masks every seventh base at a time',
    async (name) => {
      const golden = join(packageRoot, 'test/golden', name)
      const text = 'ACGTNGGCATTAGC'
      writeFileSync(path('masked.fa'), `>a\n${text}\n>n\nNN\n`)
      const args = ['score', '-q', '-m', golden, '-f', 'json', '--per-token', path(`${name}.jsonl`), path('masked.fa')]
      const { code, stdout, stderr } = await command([...args, '-t', '2', '--force'])
      expect([code, stderr]).toEqual([0, ''])
      const strands = name === 'caduceus-ph' ? [text, complement(text)] : [text]
      const expected: number[][] = []
      for (const strand of strands) expected.push(await maskedBases(golden, strand))
      const [a, n] = JSON.parse(stdout.toString())
      const sums = expected.map((each) => each.reduce((sum, x) => sum + x, 0))
      expect(a.bases).toBe(13)
      expect(a.log_likelihood).toBeCloseTo(sums.reduce((sum, x) => sum + x, 0) / sums.length, 3)
      expect(n).toMatchObject({ id: 'n', length: 2, bases: 0, log_likelihood: 0, perplexity: null })
      const tokens = readFileSync(path(`${name}.jsonl`), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
      expect(tokens.length).toBe(13 * strands.length)
      for (const { start, strand, base, log_probability } of tokens) {
        const [s, t] = strand === '+' ? [0, start] : [1, text.length - 1 - start]
        expect(base).toBe(strands[s][t])
        expect(log_probability).toBeCloseTo(expected[s][t], 3)
      }
    },
  )

  test('is refused of models that do not predict the next base', async () => {
    for (const model of ['origin', 'digits', path('both')]) {
      const { code, stderr } = await command(['score', '-m', model, path('x.fa')])
      expect([code, stderr]).toEqual([
        2,
        expect.stringMatching(/predicts neither the next token nor masked ones; longwave train next-base/),
      ])
    }
  })
})
