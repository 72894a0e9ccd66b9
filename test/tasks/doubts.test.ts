import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { saveCheckpoint } from '../../src/checkpoints/own.js'
import { openModel } from '../../src/index.js'
import { randomWeights, tinySpec } from '../engine/models.js'
import { command } from '../run-command.js'
import { temporaryFolder } from '../shell/run.js'

const folder = temporaryFolder()
const [causal, both] = ['causal', 'both'].map((name) => join(folder, name))
const sequences = {
  whole: 'ACGT'.repeat(25),
  half: 'ACNN'.repeat(25),
  more: `${'ACNN'.repeat(25)}N`,
  all: 'N'.repeat(90),
  short: 'ACGTA',
  least: 'ACGTAC',
}
const reads = join(folder, 'reads.fa')

beforeAll(async () => {
  for (const [path, spec] of [
    [causal, { ...tinySpec('mamba'), trained_shortest: 24 }],
    [both, { ...tinySpec('add', true), strand: 'symmetric' as const, trained_shortest: 24 }],
  ] as const)
    await saveCheckpoint(path, spec, randomWeights(spec))
  writeFileSync(
    reads,
    Object.entries(sequences)
      .map(([id, bases]) => `>${id}\n${bases}\n`)
      .join(''),
  )
})

const labelsOf = async (...args: string[]) => {
  const { code, stdout, stderr } = await command(['classify', '--no-progress', ...args])
  expect(code).toBe(0)
  const rows = stdout
    .toString()
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => line.split('\t'))
  const without = rows.filter((row) => row.includes('unclassified')).map(([id]) => id)
  return { without, summary: stderr.trim().replace(/^.*?; |^.*$/, '') }
}

test('mostly N and far shorter records have no label, and are counted, whatever the chunk and the strands', async () => {
  const expected = {
    without: ['more', 'all', 'short'],
    summary: 'unclassified: 2 mostly N, 1 far shorter than what the model learnt from',
  }
  for (const model of [causal, both])
    for (const chunk of ['7', '1000']) expect(await labelsOf('-m', model, '--chunk', chunk, reads)).toEqual(expected)
})

test('--max-n moves the border', async () => {
  expect((await labelsOf('-m', both, '--max-n', '1', reads)).without).toEqual(['short'])
  expect((await labelsOf('-m', both, '--max-n', '0', reads)).without).toEqual(['half', 'more', 'all', 'short'])
})

test('windows have their own doubts', async () => {
  const path = join(folder, 'contig.fa')
  writeFileSync(path, `>c\n${'ACGT'.repeat(10)}${'N'.repeat(40)}${'GGCA'.repeat(10)}AC\n`)
  const args = ['-m', both, '--window', '40', path]
  expect(await labelsOf(...args)).toEqual({
    without: ['c', 'c'],
    summary: 'unclassified: 1 mostly N, 1 far shorter than what the model learnt from',
  })
  expect((await labelsOf(...args, '--per-record')).without).toEqual([])
})

test('so it is in the library', async () => {
  const model = await openModel(both, { threads: 1 })
  const labels: string[] = []
  const given = Object.entries(sequences).map(([id, sequence]) => ({ id, sequence }))
  for await (const { id, label } of model.classify(given)) if (label === 'unclassified') labels.push(id)
  await model.close()
  expect(labels).toEqual(['more', 'all', 'short'])
})
