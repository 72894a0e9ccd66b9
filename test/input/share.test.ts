import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readRecords } from '../../src/input/dna/read.js'
import { temporaryFolder } from '../shell/run.js'

const folder = temporaryFolder()

test('the share of files that was read grows to 1; a pipe has none', async () => {
  const [a, b] = ['a.fa', 'b.fa'].map((name) => join(folder, name))
  for (let i = 0; i < 200; i++) appendFileSync(a, `>a${i}\n${'ACGT'.repeat(1000)}\n`)
  writeFileSync(b, '>b\nACGT\n')
  const records = readRecords([a, b])
  const shares: number[] = []
  for await (const _ of records) shares.push(records.share!.value!)
  expect(shares.length).toBeGreaterThan(3)
  expect(shares[0]).toBeGreaterThan(0)
  expect(shares[0]).toBeLessThan(0.7)
  expect(shares).toEqual(shares.toSorted((x, y) => x - y))
  expect(shares.at(-1)).toBe(1)
  expect(readRecords([a, '-']).share!.value).toBeUndefined()
  expect(readRecords([join(folder, 'none')]).share!.value).toBeUndefined()
})
