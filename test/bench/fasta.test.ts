import { expect, test } from 'vitest'
import { benchFasta } from '../../src/bench/fasta.js'

test('both readers read all bases of both inputs', async () => {
  const rows = await benchFasta({ megabytes: 1, rounds: 1 })
  expect(rows.map(({ input, reader }) => `${input}: ${reader}`)).toEqual([
    'one long record, 60 columns: longwave',
    'one long record, 60 columns: bionode-fasta',
    'reads of 150 bp: longwave',
    'reads of 150 bp: bionode-fasta',
  ])
  for (const { reader, mb_per_second, ratio } of rows) {
    expect(mb_per_second).toBeGreaterThan(0)
    if (reader === 'bionode-fasta') expect(ratio).toBe(1)
  }
})
