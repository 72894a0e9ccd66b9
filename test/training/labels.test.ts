import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { readRecords } from '../../src/input/dna/read.js'
import { wholeRecords } from '../../src/input/dna/records.js'
import { LabelTable } from '../../src/training/data/labels.js'
import { loadDataset } from '../../src/training/dna/dataset.js'
import { temporaryFolder } from '../shell/run.js'

const folder = temporaryFolder()
const at = (name: string) => join(folder, name)
const labels = at('labels.tsv')

/** A table, and FASTA with records of these ids, as a labelled set. */
async function load(table: string | Uint8Array, ids: string[] | Buffer) {
  const notes: string[] = []
  writeFileSync(labels, table)
  writeFileSync(at('x.fa'), Buffer.isBuffer(ids) ? ids : ids.map((id) => `>${id}\nACGT\n`).join(''))
  const records = wholeRecords(readRecords([at('x.fa')]))
  const note = (line: string) => notes.push(line.replace(`${folder}/`, ''))
  const set = await loadDataset(records, await LabelTable.read(labels), null, null, note)
  return { classes: set.classes, targets: [...set.targets], ids: set.ids, notes }
}

const body = 'r1\tcat\nr2\tant\nr3\tcat\n'
const ids = ['r1', 'r2', 'r3']
const whole = { classes: ['ant', 'cat'], targets: [1, 0, 1], ids, notes: [] }

describe('the header of a table', () => {
  const usual = ['id', '#ID', 'File', 'path', '# name', 'record', 'SEQ', 'sequence', 'read', 'recording', 'sample']
  it.each([...usual, 'filename', 'seq_id', 'Sequence ID', 'read-name', 'accession'])(
    "may begin with '%s'",
    async (id) => {
      expect(await load(`${id}\tlabel\n${body}`, ids)).toEqual(whole)
      expect(await load(`${id}\n${body}`, ids)).toEqual(whole)
    },
  )

  it('is guessed, with a warning, where it names no record and has a label of its own', async () => {
    const notes = ['labels.tsv: line 2: taken for a header, because there is no record Organism']
    expect(await load(`\nOrganism\tclass\n${body}`, ids)).toEqual({ ...whole, notes })
  })

  it('is not guessed where its label is that of others, or its record is there', async () => {
    expect(await load(`r0\tcat\n${body}`, ids)).toEqual({
      ...whole,
      notes: ['labels.tsv: 1 of 4 entries name no record that was read, the first: r0 (line 1)'],
    })
    expect(await load(`r0\tdog\n${body}`, ['r0', ...ids])).toMatchObject({ classes: ['ant', 'cat', 'dog'], notes: [] })
  })
})

describe('the entries of a table', () => {
  it('give classes only for records that are there, and the others are counted', async () => {
    expect(await load(`${body}r8\tdog\nr9\telk\n`, ids)).toEqual({
      ...whole,
      notes: ['labels.tsv: 2 of 5 entries name no record that was read, the first: r8 (line 4)'],
    })
  })

  it('count for each of several records of one id', async () => {
    expect(await load(body, ['r1', 'r2', 'r1'])).toMatchObject({ targets: [1, 0, 1], ids: ['r1', 'r2', 'r1'] })
  })

  it('are matched to the byte: no-break spaces and bytes that are no UTF-8 belong to an id', async () => {
    expect(await load('r1\u00a0\tcat\nr1 \tant\n', ['r1\u00a0', 'r1'])).toMatchObject({ targets: [1, 0], notes: [] })
    const json = Buffer.from(['r1\u00a0', 'r1'].map((id) => `${JSON.stringify({ id, seq: 'ACGT' })}\n`).join(''))
    expect(await load('r1\u00a0\tcat\nr1 \tant\n', json)).toMatchObject({ targets: [1, 0], notes: [] })
    // A line of Latin-1 in a table that is UTF-8 otherwise.
    writeFileSync(labels, Buffer.concat([Buffer.from('gène\tcat\n'), Buffer.from('gène2\tant\n', 'latin1')]))
    const table = await LabelTable.read(labels)
    for (const id of ['gène', 'gène2'])
      expect(table.entryOf({ id, file: 'x.fa', line: 1 }).label).toBe(id === 'gène' ? 'cat' : 'ant')
  })

  it('come after a byte order mark and with any line ends', async () => {
    expect(await load(`\ufeffid\tlabel\n${body}`, ids)).toEqual(whole)
    for (const end of ['\r\n', '\r']) expect(await load(`\ufeff${body.replaceAll('\n', end)}`, ids)).toEqual(whole)
  })
})

describe('a table that cannot be used is exit 65', () => {
  const utf16 = Buffer.from(`\ufeff${body}`, 'utf16le')
  const cases: [string, string | Uint8Array, RegExp][] = [
    ['empty', '', /labels\.tsv: no entries, expected lines id<TAB>label/],
    ['blank', ' \n\t\n', /labels\.tsv: no entries/],
    ['of a hundred million line ends, packed in 100 kB', gzipSync(Buffer.alloc(1e8, '\n')), /labels\.tsv: no entries/],
    ['with a header alone', 'id\tlabel\n', /labels\.tsv: no entries/],
    ['in UTF-16', utf16, /labels\.tsv: UTF-16 text, expected UTF-8; convert it: iconv -f UTF-16 -t UTF-8 .*labels\.tsv$/],
    ['in UTF-16, big-endian', Buffer.from(utf16).swap16(), /labels\.tsv: UTF-16 text/],
    ['in UTF-16 without a mark', Buffer.from(body, 'utf16le'), /labels\.tsv: line 1: a NUL byte, no text/],
    ['with a NUL byte', 'r1\tcat\nr2\0\tant\n', /labels\.tsv: line 2: a NUL byte, no text/],
    ['without a record', body, /^no records for .*labels\.tsv$/],
  ] // biome-ignore format: a table
  it.each(cases)('%s', async (_, table, message) => {
    const error = await load(table, []).catch((e) => e)
    expect(error).toMatchObject({ name: 'UserError', exitCode: 65 })
    expect(error.message).toMatch(message)
  })
})

describe('recordings of a table', () => {
  const read = async (table: string) => {
    const notes: string[] = []
    writeFileSync(labels, table)
    const entries = await (await LabelTable.read(labels)).recordings(folder, (line) => notes.push(line))
    return { ids: entries.map(({ id }) => id), notes: notes.length }
  }

  it('are its lines, without a first one that names no file', async () => {
    writeFileSync(at('a.wav'), '')
    expect(await read('a.wav\tone\nb.wav\ttwo\n')).toEqual({ ids: ['a.wav', 'b.wav'], notes: 0 })
    expect(await read('Clip\twords\na.wav\tone\nb.wav\ttwo\n')).toEqual({ ids: ['a.wav', 'b.wav'], notes: 1 })
    expect(await read('missing.wav\tone\n')).toEqual({ ids: ['missing.wav'], notes: 0 })
  })

  it('are named once, however their path is written', async () => {
    const error = await read('a.wav\tone\nb.wav\ttwo\nsub/../a.wav\tone\n').catch((e) => e)
    expect(error).toMatchObject({ exitCode: 65 })
    expect(error.message).toMatch(/labels\.tsv: line 3: sub\/\.\.\/a\.wav is a\.wav of line 1$/)
  })
})
