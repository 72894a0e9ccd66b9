import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { saveCheckpoint } from '../../src/checkpoints/own.js'
import { openModel } from '../../src/index.js'
import type { ModelSpec } from '../../src/spec.js'
import { randomWeights, seeded, tinySpec } from '../engine/models.js'
import { command } from '../run-command.js'
import { temporaryFolder } from '../shell/run.js'

const folder = temporaryFolder()
const at = (name: string) => join(folder, name)
const labels = ['a', 'b', 'c']
const ids = Array.from({ length: 30 }, (_, i) => `r${i}`)
const temperature = 2.5

beforeAll(async () => {
  const plain = { ...tinySpec('add', true), strand: 'symmetric' } satisfies ModelSpec
  const weights = randomWeights(plain, 4)
  const { data } = weights.get('head.weight')!
  for (let i = 0; i < data.length; i++) data[i] *= 20
  const head = { kind: 'classes', labels, pool: 'mean', temperature } as const
  await saveCheckpoint(at('plain'), plain, weights)
  await saveCheckpoint(at('warm'), { ...plain, head }, weights)
  const random = seeded(9)
  const sequence = () => Array.from({ length: 90 }, () => 'ACGT'[Math.floor(random() * 4)]).join('')
  writeFileSync(at('x.fa'), ids.map((id) => `>${id}\n${sequence()}\n`).join(''))
  writeFileSync(at('x.tsv'), ids.map((id, i) => `${id}\t${labels[i % 3]}\n`).join(''))
})

interface Row {
  id: string
  label: string
  score: number
  probabilities: Record<string, number>
}

const rows = (text: string): Row[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))

async function classified(model: string, ...args: string[]): Promise<Row[]> {
  const { code, stdout } = await command(['classify', '-q', '-m', at(model), '-f', 'jsonl', '--probabilities', ...args, at('x.fa')]) // biome-ignore format: a command line
  expect(code).toBe(0)
  return rows(stdout.toString())
}

async function evaluated(model: string, ...args: string[]) {
  const { code, stdout } = await command(['evaluate', '-q', '-m', at(model), '--data', at('x.fa'), '--labels', at('x.tsv'), '--json', ...args]) // biome-ignore format: a command line
  expect(code).toBe(0)
  return JSON.parse(stdout.toString())
}

/** Differences of logits, as probabilities tell them. */
const odds = ({ probabilities: { a, b, c } }: Row) => [Math.log(a / b), Math.log(b / c)]

describe('a temperature', () => {
  test.each([
    ['records', []],
    ['windows', ['--window', '30']],
    ['records of pooled windows', ['--window', '30', '--per-record']],
  ])('divides the logits of %s and changes no label', async (_, args) => {
    const [plain, warm] = [await classified('plain', ...args), await classified('warm', ...args)]
    expect(warm.map(({ label }) => label)).toEqual(plain.map(({ label }) => label))
    expect(new Set(plain.map(({ label }) => label)).size).toBeGreaterThan(1)
    for (const [i, row] of warm.entries())
      for (const [k, difference] of odds(row).entries())
        expect(difference * temperature).toBeCloseTo(odds(plain[i])[k], 3)
  })

  test('is the same for classify, evaluate and the library, to the digit', async () => {
    const written = await classified('warm')
    await evaluated('warm', '--predictions', at('calls.jsonl'))
    const predicted = rows(readFileSync(at('calls.jsonl'), 'utf8'))
    const said = ({ id, label, score, probabilities }: Row) => ({ id, label, score, probabilities })
    expect(predicted.map(said)).toEqual(written.map(said))
    const model = await openModel(at('warm'))
    const sixDigits = (x: number) => Number(x.toPrecision(6))
    let i = 0
    for await (const { id, label, score, probabilities } of model.classify(at('x.fa'))) {
      const rounded = Object.fromEntries([...probabilities].map(([name, p]) => [name, sixDigits(p)]))
      expect({ id, label, score: sixDigits(score), probabilities: rounded }).toEqual(said(written[i++]))
    }
    expect(i).toBe(ids.length)
    await model.close()
  })

  test('that evaluate finds is that of the head, whatever it has now, and changes the calibration alone', async () => {
    const [plain, warm] = [await evaluated('plain'), await evaluated('warm')]
    expect(warm.calibration.temperature).toBe(plain.calibration.temperature)
    expect(warm.calibration.log_loss).not.toBeCloseTo(plain.calibration.log_loss, 3)
    for (const figure of ['accuracy', 'mcc', 'confusion']) expect(warm[figure]).toEqual(plain[figure])
    const loss = -(await classified('warm')).reduce(
      (sum, { probabilities }, i) => sum + Math.log(probabilities[labels[i % 3]]),
      0,
    )
    expect(warm.calibration.log_loss).toBeCloseTo(loss / ids.length, 4)
  })

  test('is shown by models info', async () => {
    const { stdout } = await command(['models', 'info', at('warm')])
    expect(stdout.toString()).toMatch(/^head +classes, pool mean, temperature 2\.5$/m)
  })
})
