import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { readRecords } from '../../../src/input/dna/read.js'
import { readAll, readText } from './helpers.js'

// bionode-fasta as an oracle: it keeps headers whole and letters as they are, so both are brought to our form first.

const folder = 'test/specimens/dna/'
const files = readdirSync(folder).filter((file) => !/^(expected|MANIFEST|README|\.)/.test(file))
const output = execFileSync(process.execPath, ['test/input/dna/run-bionode.js'], {
  input: files.map((file) => folder + file).join('\n'),
  encoding: 'utf8',
  maxBuffer: 2 ** 28,
})

interface Theirs {
  id: string
  seq: string
}

/** Its records, or null where it crashed or wrote no valid JSON. */
function parse(lines: string | null): Theirs[] | null {
  try {
    return lines === null
      ? null
      : lines
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line))
  } catch {
    return null
  }
}

const answers = output
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as { file: string; lines: string | null })
  .map(({ file, lines }) => ({ file: file.slice(folder.length), lines, theirs: parse(lines) }))
  .filter((answer) => answer.theirs !== null) as { file: string; lines: string; theirs: Theirs[] }[]

const idOf = (header: string) => header.trim().split(/\s+/)[0]

/** The cleaned sequence, or null where it is no DNA. */
function clean(raw: string): string | null {
  const letters = raw
    .toUpperCase()
    .replace(/[\s\d]/g, '')
    .replace(/\*$/, '')
    .replaceAll('U', 'T')
  if (/[^ACGTNRYSWKMBDHVX.-]/.test(letters) || (letters === '' && /\d/.test(raw))) return null
  return letters.replace(/[^ACGT]/g, 'N')
}

const ours = (records: { id: string; sequence: string }[]) => records.map(({ id, sequence }) => ({ id, sequence }))
const cleaned = (theirs: Theirs[]) =>
  theirs.flatMap(({ id, seq }) => {
    const sequence = clean(seq)
    return sequence === null ? [] : [{ id: idOf(id), sequence }]
  })

test('it read most of the FASTA specimens', () => {
  expect(answers.length).toBeGreaterThanOrEqual(70)
})

test.each(answers)('record for record: $file', async ({ file, theirs }) => {
  const { records, counts } = await readAll((options) => readRecords([folder + file], options), 'skip')
  expect(ours(records)).toEqual(cleaned(theirs))
  expect(counts.skippedRecords).toBe(theirs.filter(({ seq }) => clean(seq) === null).length)
})

test.each(answers)('its JSON lines are input: $file', async ({ lines, theirs }) => {
  const { records, counts } = await readText(lines, 'skip')
  expect(ours(records)).toEqual(cleaned(theirs))
  expect(counts.skippedRecords).toBe(theirs.filter(({ seq }) => clean(seq) === null).length)
})
