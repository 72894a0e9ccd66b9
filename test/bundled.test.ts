import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { packageRoot } from '../src/root.js'
import { longwave } from './shell/run.js'

const folder = join(packageRoot, 'models')
const names = readdirSync(folder)
/** How many records of a fixture a model must get right; their headers say what they are. */
const fixtures: Record<string, { file: string; labels: Record<string, string>; right: number }> = {
  origin: {
    file: 'fragments.fa',
    labels: {
      human: 'human',
      c_elegans: 'worm',
      yeast: 'yeast',
      akkermansia: 'bacteria',
      phage: 'phage',
      ebola: 'virus',
    },
    right: 6,
  },
  promoter: { file: 'promoters.fa', labels: { promoter: 'promoter', non_promoter: 'non_promoter' }, right: 7 },
  splice: { file: 'splice.fa', labels: { acceptor: 'acceptor', donor: 'donor', neither: 'neither' }, right: 8 },
}

describe.each(names)('bundled model %s', (name) => {
  const config = JSON.parse(readFileSync(join(folder, name, 'config.json'), 'utf8'))
  const card = readFileSync(join(folder, name, 'README.md'), 'utf8')

  test('is small, and its card tells the figures of its config', () => {
    expect(statSync(join(folder, name, 'model.safetensors')).size).toBeLessThan(3e6)
    expect(config.name).toBe(name)
    for (const value of Object.values(config.test as Record<string, number>)) expect(card).toContain(String(value))
  })

  test('calls its fixture mostly right', async () => {
    const { file, labels, right } = fixtures[name]
    const { code, stdout } = await longwave(['classify', '-m', name, join(packageRoot, 'fixtures', file)])
    expect(code).toBe(0)
    const rows = stdout.toString().trimEnd().split('\n').slice(1)
    const correct = rows.filter((row) => {
      const [id, , label] = row.split('\t')
      return label === labels[Object.keys(labels).find((prefix) => id.startsWith(prefix))!]
    })
    expect(correct.length).toBeGreaterThanOrEqual(right)
  })
})
