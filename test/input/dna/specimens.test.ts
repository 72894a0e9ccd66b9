import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { UserError } from '../../../src/errors.js'
import { readRecords } from '../../../src/input/dna/read.js'
import { readAll } from './helpers.js'

// What every specimen must give: see test/specimens/dna/README.md for how the table was made.
const folder = 'test/specimens/dna/'
const [columns, ...lines] = readFileSync(`${folder}expected.tsv`, 'utf8').replace(/\n$/, '').split('\n')
const rows = lines.map((line) => {
  const cells = line.split('\t')
  return Object.fromEntries(columns.split('\t').map((column, i) => [column, cells[i]]))
})

test('the table lists every specimen', () => {
  const about = ['expected.tsv', 'README.md', 'MANIFEST.tsv', '.gitattributes']
  const files = readdirSync(folder).filter((file) => !about.includes(file))
  expect(rows.map((row) => row.file).sort()).toEqual(files.sort())
})

test.each(rows)('$file', async (row) => {
  const path = folder + row.file
  const inTable = (text: string) => text.replaceAll(folder, '')

  const strict = await readAll((options) => readRecords([path], options))
  if (row.error === '') expect(strict.error).toBeUndefined()
  else {
    expect(strict.error).toBeInstanceOf(UserError)
    expect(inTable(strict.error!.message)).toBe(`${row.file}: ${row.error}`)
    expect((strict.error as UserError).exitCode).toBe(Number(row.exit))
  }

  const { records, counts, error } = await readAll((options) => readRecords([path], options), 'skip')
  expect(error).toBeUndefined()
  const text = records.map(({ id, sequence }) => `${id}\t${sequence}\n`).join('')
  expect({
    records: String(records.length),
    bases: String(records.reduce((sum, { sequence }) => sum + sequence.length, 0)),
    n: String(
      records
        .map((record) => record.sequence)
        .join('')
        .match(/N/g)?.length ?? 0,
    ),
    skipped_records: String(counts.skippedRecords),
    skipped_files: String(counts.skippedFiles),
    first_ids: records
      .slice(0, 3)
      .map(({ id }) => JSON.stringify(id))
      .join(' '),
    sha1: createHash('sha1').update(text).digest('hex').slice(0, 16),
  }).toEqual({
    records: row.records,
    bases: row.bases,
    n: row.n,
    skipped_records: row.skipped_records,
    skipped_files: row.skipped_files,
    first_ids: row.first_ids,
    sha1: row.sha1,
  })
  expect(counts).toMatchObject({ records: Number(row.records), bases: Number(row.bases) })
})
