import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { saveCheckpoint } from '../../src/checkpoints/own.js'
import type { ModelSpec } from '../../src/spec.js'
import { openModel } from '../../src/tasks/model.js'
import { randomWeights, seeded, tinySpec } from '../engine/models.js'
import { command } from '../run-command.js'
import { temporaryFolder } from '../shell/run.js'

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
const complement = (text: string) =>
  [...text]
    .reverse()
    .map((base) => 'TGCAN'['ACGTN'.indexOf(base)])
    .join('')

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

/** By the logits of all rows at once: the sum of the log-probabilities in nats, and how many. */
async function expected(text: string): Promise<[nats: number, bases: number]> {
  const model = await openModel(path('model'))
  const ids = Int32Array.from(text, (base) => 'ACGTN'.indexOf(base))
  const { logits } = await model.forward(ids)
  await model.close()
  const V = logits!.length / ids.length
  let [nats, bases] = [0, 0]
  for (let t = 1; t < ids.length; t++) {
    if (ids[t] === 4) continue
    const row = logits!.subarray((t - 1) * V, t * V)
    nats += row[ids[t]] - Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0))
    bases++
  }
  return [nats, bases]
}

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

  test('is refused of models that do not predict the next base', async () => {
    for (const model of ['origin', 'digits', path('both')]) {
      const { code, stderr } = await command(['score', '-m', model, path('x.fa')])
      expect([code, stderr]).toEqual([
        2,
        expect.stringMatching(/does not predict the next base; longwave train next-base/),
      ])
    }
  })
})
