import { expect, test } from 'vitest'
import { Collector } from '../../../src/input/dna/collector.js'
import { FastaParser } from '../../../src/input/dna/fasta.js'
import { readSources } from '../../../src/input/dna/read.js'
import { type Piece, wholeRecords } from '../../../src/input/dna/records.js'
import { readBlocks, readText } from './helpers.js'

// The table of docs/input.md, row by row: input, then "id:sequence" of every record, or the error.
const good: [string, string, string][] = [
  ['lower case', '>a\nacgtn\n', 'a:ACGTN'],
  ['U is T', '>a\nACGU\n>b\nacgu\n', 'a:ACGT b:ACGT'],
  ['IUPAC, X and gaps are N in place', '>a\nARYSWKMBDHVNXA-.A\narx', 'a:ANNNNNNNNNNNNANNAANN'],
  ['final * is dropped', '>a\nACGT*\n>b\nAC*\n\n>c\n*', 'a:ACGT b:AC c:'],
  ['blanks and digits inside are passed over', '>a\n  1 ACG TAC\t\n 61 GG\v\fT\n', 'a:ACGTACGGT'],
  ['several lines, CRLF', '>a x\r\nAC\r\nGT\r\n>b\r\nA\r\n', 'a:ACGT b:A'],
  ['CR only', '>a\rAC\rGT\r\r>b\rA', 'a:ACGT b:A'],
  ['blank lines anywhere', '\n\n  \n>a\n\nAC\n\nGT\n\n\n>b\nA\n\n', 'a:ACGT b:A'],
  ['no final newline', '>a\nACGT', 'a:ACGT'],
  ['header at the end', '>a\nA\n>b', 'a:A b:'],
  ['byte order mark', '\ufeff>a\nAC', 'a:AC'],
  ['duplicate ids stay', '>a\nA\n>a\nC', 'a:A a:C'],
  ['empty records stay', '>a\n>b\n\n>c\nA\n>d\n', 'a: b: c:A d:'],
  ['empty ids stay', '>\nA\n>  \nC', ':A :C'],
  ['the id ends at white space; blanks before it do not count', '>a|b c\nA\n> d e\nC\n>f\tg\nG', 'a|b:A d:C f:G'],
  ['ids in UTF-8', '>\u00e9\u20ac x\nA', '\u00e9\u20ac:A'],
  [
    'JSON lines: keys behind text that is not ASCII',
    '{"n":"\u00e9\u20ac","id":"\u20ac","m\u00e9":1,"seq":"AC"}',
    '\u20ac:AC',
  ],
  ['JSON lines: ids end at the blanks of FASTA', '{"id":" a\u00a0b\u2003c d","seq":"A"}', 'a\u00a0b\u2003c:A'],
  ['comments', ';first\n>a\n; second\nAC\n;third\nGT', 'a:ACGT'],
  ["'>' inside a header", '>a>b >c\nA', 'a>b:A'],
  ['FASTQ', '@a x\nACGT\n+\nIIII\n@b\nA\n+b\nI\n@c y\nA\n+c y\n!\n', 'a:ACGT b:A c:A'],
  ['FASTQ over several lines', '@a\nAC\nGT\n+\nI\nI@I\n@b\nA\n+\n~', 'a:ACGT b:A'],
  ["'@' and '+' in front of qualities", '@a\nAC\n+\n@+\n@b\nACG\n+\n+\n@\n>\n', 'a:AC b:ACG'],
  ['empty FASTQ records', '@a\n\n+\n\n@b\n+\n@c\nA\n+\nI\n@d\n\n+', 'a: b: c:A d:'],
  ['FASTQ with CRLF, CR and blank lines', '@a\r\nAC\r\n+\r\nII\r\n\r\n@b\rA\r+\rI\n\n', 'a:AC b:A'],
  ['a final * in FASTQ has a quality', '@a\nACGT*\n+\nIIIII', 'a:ACGT'],
  ['JSON lines', '{"id":"a b","seq":"acgu-"}\n\n{"id":"","seq":"","path":"x"}\r\n', 'a:ACGTN :'],
  [
    'JSON lines with other keys',
    '{"n":{"seq":"E"},"l":["seq","id"],"id":"\\"\\u00e9","seq" : "A" ,"z":null}',
    '"\u00e9:A',
  ],
]

test.each(good)('%s', async (_, text, expected) => {
  const { records, problems, error } = await readText(text)
  expect(error).toBeUndefined()
  expect(problems).toEqual([])
  expect(records.map(({ id, sequence }) => `${id}:${sequence}`).join(' ')).toBe(expected)
})

const bad: [string, string | Buffer, string][] = [
  ['no header', 'ACGT\n', `line 1: expected '>' (FASTA), '@' (FASTQ) or '{' (JSON lines), not 'A'`],
  ['comments, then no header', '\n;x\nACGT\n', `line 3: expected a header that starts with '>'`],
  ['binary', Buffer.from([0, 1, 2, 3]), `line 1: expected '>' (FASTA), '@' (FASTQ) or '{' (JSON lines), not byte 0x00`],
  ['binary after a header', '>a b\nAC\0', `record a, line 2: expected letters of DNA, not byte 0x00`],
  [
    'a header that does not begin its line',
    '>a\nACGT>b\nAC',
    "record a, line 2: expected letters of DNA, not '>' (a header that does not begin its line? files joined without a line end between them)",
  ],
  [
    'GenBank',
    'LOCUS       NC_000932  154478 bp    DNA\n',
    'GenBank, expected FASTA, FASTQ or JSON lines, plain or gzip; convert it: any2fasta test | longwave ... -',
  ],
  [
    'a pointer of Git LFS',
    'version https://git-lfs.github.com/spec/v1\noid sha256:0\n',
    'a pointer of Git LFS, not the file itself; fetch it: git lfs pull',
  ],
  ['protein', '>p\nMKV\nE', `record p, line 3: expected letters of DNA, not 'E' (looks like protein)`],
  ['protein without a name', '>\nE', `record (no name), line 2: expected letters of DNA, not 'E' (looks like protein)`],
  ['* inside', '>p\nAC*\n\nA', `record p, line 2: '*' before the end of the sequence (looks like protein)`],
  ['two *', '>p\nAC**', `record p, line 2: '*' before the end of the sequence (looks like protein)`],
  ['qualities as FASTA', '>q\n26 26\n', 'record q, line 1: digits without any base (looks like a file of qualities)'],
  [
    'FASTQ: qualities too long',
    '@a\nAC\n+\nIII\n',
    'record a, line 4: 2 bases but 3 characters of quality up to here, expected as many',
  ],
  ['FASTQ: qualities too short', '@a\nAC\n+\nI\n', 'record a, line 5: the file ends after 1 of 2 qualities'],
  ['FASTQ: no +', '@a\nAC\n@b\nA\n+\nI', `record a, line 3: expected a line with '+' after the sequence, not a header`],
  [
    'FASTQ: another header after +, and no sequence',
    '@a\n+b\nII',
    `record a, line 2: the line with '+' does not repeat the header`,
  ],
  [
    'FASTQ: qualities too short, then a record',
    '@a\nACGT\n+\nII\n@b\nACGT\n+\nIIII\n',
    'record a, line 5: 4 bases but 2 qualities before the next header, expected as many',
  ],
  ['FASTQ: no sequence', '@a\n+\nII\n', `record a, line 3: expected '@' and a header after the qualities, not 'I'`],
  ['FASTQ: cut off', '@a\nAC\n+\nII\n@b\nA', `record b, line 6: the file ends before the line with '+'`],
  [
    'FASTQ: a blank among qualities',
    '@a\nAC\n+\nI ',
    `record a, line 4: byte 0x20 among the qualities, expected characters from '!' to '~'`,
  ],
  ['FASTQ: FASTA after it', '@a\nA\n+\nI\n>b\nA', `after record a, line 5: expected '@' and a header, not '>'`],
  [
    'JSON: cut off',
    '{"id":"a","seq":"AC',
    'record a, line 1: the line is not one whole JSON object with a string "id"',
  ],
  [
    'JSON: broken after the sequence',
    '{"id":"a","seq":"AC",}',
    'record a, line 1: the line is not one whole JSON object with a string "id"',
  ],
  ['JSON: sequence before id', '{"seq":"AC","id":"a"}', 'line 1: expected a string "id" before "seq"'],
  ['JSON: no sequence', '{"id":"a"}', 'line 1: expected a string "seq"'],
  ['JSON: no string', '{"id":"a","seq":["A"]}', 'line 1: expected a string "seq"'],
  ['JSON: two sequences', '{"id":"a","seq":"A","seq":"C"}', 'record a, line 1: a second "seq"'],
  ['JSON: escape', '{"id":"a","seq":"A\\u0041"}', 'record a, line 1: an escape in "seq", expected letters of DNA'],
  [
    'JSON: something else after it',
    '{"id":"a","seq":"A"}\n>b',
    'after record a, line 2: expected a JSON object with "id" and "seq", not \'>\'',
  ],
  [
    'an endless header',
    `>${'x'.repeat(2 ** 20 + 1)}`,
    `record ${'x'.repeat(120)}..., line 1: header of more than 1048576 bytes`,
  ],
  [
    'SAM',
    '@HD\tVN:1.6\n',
    'SAM, expected FASTA, FASTQ or JSON lines, plain or gzip; convert it: samtools fasta test | longwave ... -',
  ],
]

test.each(bad)('bad: %s', async (_, input, message) => {
  const { error } = await readBlocks([Buffer.from(input)])
  expect(error).toMatchObject({ name: 'UserError', message: `test: ${message}`, exitCode: 65 })
})

test('ids that are no UTF-8 are read as Latin-1: different bytes stay different ids', async () => {
  const bytes = Buffer.from('>\xe9 x\nA\n>\xe8\nC\n>\x80\xff\nG\n', 'latin1')
  const fastq = Buffer.from('@\xe9\nA\n+\xe9\nI\n@\xe8\nC\n+\nI\n', 'latin1')
  const json = Buffer.from('{"id":"\xe9","seq":"A"}\n{"\xe8":1,"id":"\xe8","seq":"C"}\n', 'latin1')
  const utf8 = Buffer.from('>\u00e9\u20ac\nA\n')
  const ids = async (block: Buffer) => (await readBlocks([block])).records.map(({ id }) => id)
  expect(await ids(bytes)).toEqual(['\u00e9', '\u00e8', '\u0080\u00ff'])
  expect(await ids(fastq)).toEqual(['\u00e9', '\u00e8'])
  expect(await ids(json)).toEqual(['\u00e9', '\u00e8'])
  expect(await ids(utf8)).toEqual(['\u00e9\u20ac'])
  // C1 controls among them stay out of error lines.
  const { error } = await readBlocks([Buffer.from('>a\x9b31mb\x1b[0m\nE\n', 'latin1')])
  expect(error?.message).toMatch(/^test: record a\?31mb\?\[0m, line 2: /)
})

test.each(['', '\n \r\n', '\ufeff'])('an empty file is a warning: %j', async (text) => {
  expect(await readText(text)).toMatchObject({ records: [], problems: ['warning: test: empty, no records'] })
})

test('skip goes on with the next record, reports each bad one and counts', async () => {
  const { records, problems, counts } = await readText('>a\nAC\n>p\nE\nEE\n>b\nG\n>q\nA*A\n>c\nT', 'skip')
  expect(records).toEqual([
    { id: 'a', line: 1, sequence: 'AC' },
    { id: 'b', line: 6, sequence: 'G' },
    { id: 'c', line: 10, sequence: 'T' },
  ])
  expect(problems).toEqual([
    `record: test: record p, line 4: expected letters of DNA, not 'E' (looks like protein)`,
    `record: test: record q, line 9: '*' before the end of the sequence (looks like protein)`,
  ])
  expect(counts).toEqual({ records: 3, bases: 4, skippedRecords: 2, skippedFiles: 0 })
})

test.each([
  ['a bad letter', '>b\nACE\nAC\n'],
  ['a header glued to a sequence', '>b\nAC>x\nAC\n'],
  ['* inside', '>b\nAC*A\nAC\n'],
  ['qualities', '>b\n40 40\n'],
  ['a byte that is no text', '>b\nA\0\nAC\n'],
  ['an endless header', `>${'b'.repeat(2 ** 20 + 1)}\nAC\n`],
])('FASTA: a record with %s costs no other', async (_, broken) => {
  const { records, counts } = await readText(`>a\nAC\n${broken}>c\nGT\nA\n`, 'skip')
  expect(records.map(({ id, sequence }) => `${id}:${sequence}`)).toEqual(['a:AC', 'c:GTA'])
  expect(counts).toMatchObject({ records: 2, skippedRecords: 1 })
})

test('records before a bad one are handed out before the error, at any place', async () => {
  const { records, error } = await readText('>a\nAC\n>b\nG\n>p\nACE\n>c\nA')
  expect(records.map(({ id }) => id)).toEqual(['a', 'b'])
  expect(error).toBeDefined()
})

test('a record that turns out bad after parts of it were handed out is aborted', async () => {
  const long = Buffer.alloc(600_000, 'ACGT')
  const { records, aborted, counts } = await readBlocks([Buffer.from('>a\n'), long, Buffer.from('E\n>b\nA')], 'skip')
  expect(aborted).toEqual(['a'])
  expect(records.map(({ id }) => id)).toEqual(['b'])
  expect(counts).toEqual({ records: 1, bases: 1, skippedRecords: 1, skippedFiles: 0 })
})

test('a long line comes in pieces no longer than a block', async () => {
  async function* bytes() {
    yield Buffer.from('>a\n')
    yield Buffer.alloc(2 ** 23, 'ACGT')
  }
  let pieces = 0
  let length = 0
  for await (const batch of readSources([{ file: 'test', bytes: bytes() }])) {
    expect(batch.codes.length).toBeLessThanOrEqual(2 ** 18)
    for (const piece of batch.pieces) {
      pieces++
      length = piece.offset + piece.end - piece.start
    }
  }
  expect(length).toBe(2 ** 23)
  expect(pieces).toBeGreaterThan(30)
})

test('positions above 2^31 are exact', () => {
  const out = new Collector(false, () => {})
  const parser = new FastaParser(out)
  const write = (text: string) => {
    out.reserve(text.length)
    parser.write(Buffer.from(text))
    return out.take()!.pieces
  }
  write('>a\nACGT')
  // As if 2^31 - 8 bases of the record had gone by.
  const { open } = out as unknown as { open: Piece }
  open.offset = 2 ** 31 - 8
  expect(write('ACGTACGT\nACGT')[0]).toMatchObject({ offset: 2 ** 31 - 8, start: 0, end: 12 })
  open.offset = 0
  const [rest, next] = write('ACG\n>b\nA')
  expect(rest).toMatchObject({ offset: 2 ** 31 + 4, start: 0, end: 3, last: true })
  expect(next).toMatchObject({ offset: 0, first: true })
  expect(out.counts.bases).toBe(2 ** 31 + 7)
})

test('whole records are put together from pieces and are copies', async () => {
  async function* bytes() {
    yield Buffer.from('>a\nAC')
    yield Buffer.from('GT\n>bad\nAC')
    yield Buffer.from('E\n>b\n')
    yield Buffer.from('T')
  }
  const sources = [{ file: 'x', bytes: bytes() }]
  const records = []
  for await (const record of wholeRecords(readSources(sources, { onError: 'skip' }))) records.push(record)
  expect(records).toEqual([
    { id: 'a', file: 'x', line: 1, codes: new Uint8Array([0, 1, 2, 3]) },
    { id: 'b', file: 'x', line: 5, codes: new Uint8Array([3]) },
  ])
})

test('a record longer than the caller can hold is an error', async () => {
  async function* bytes() {
    yield Buffer.from('>a\nACGT')
  }
  const records = wholeRecords(readSources([{ file: 'x', bytes: bytes() }]), 3)
  await expect(records.next()).rejects.toThrow('x: record a, line 1: longer than 3 bases')
})
