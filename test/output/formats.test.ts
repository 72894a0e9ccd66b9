import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { SequenceRecord } from '../../src/input/dna/records.js'
import { audacityRows } from '../../src/output/audacity.js'
import { bedRows } from '../../src/output/bed.js'
import { columns } from '../../src/output/columns.js'
import { jsonRows } from '../../src/output/json.js'
import { jsonlRows } from '../../src/output/jsonl.js'
import { matrixRows, npy, safetensors } from '../../src/output/matrix.js'
import { type Output, openOutput } from '../../src/output/output.js'
import { parquetRows } from '../../src/output/parquet.js'
import { plainFile } from '../../src/output/plain-file.js'
import type { Cells, RowWriter } from '../../src/output/rows.js'
import { formatBySuffix } from '../../src/output/suffix.js'
import { tsvRows } from '../../src/output/tsv.js'
import { temporaryFolder } from '../shell/run.js'
import { parquetFile, readParquet, readSafetensors } from './read.js'

const folder = temporaryFolder()

async function written<Row = Cells>(open: (output: Output) => Promise<RowWriter<Row>>, rows: Row[]): Promise<string> {
  const path = join(folder, 'rows')
  const output = await openOutput(path, { force: true })
  try {
    const writer = await open(output)
    for (const row of rows) await writer.write(row)
    await writer.end()
    await output.close()
  } finally {
    await output.abort()
  }
  return readFileSync(path, 'utf8')
}

describe('tsv', () => {
  const tsv = (columns: string[], rows: Cells[]) => written((output) => tsvRows(output, columns), rows)

  test('has its header even without rows', async () => {
    expect(await tsv(['id', 'score'], [])).toBe('id\tscore\n')
  })

  test('leaves null empty, keeps a row on one line', async () => {
    const rows = [
      ['a\tb\r\nc', 1],
      ['\\n stays', null],
    ]
    expect(await tsv(['id', 'score'], rows)).toBe('id\tscore\na\\tb\\r\\nc\t1\n\\n stays\t\n')
  })

  test.each([
    [0.98765432, '0.987654'],
    [1, '1'],
    [0.5, '0.5'],
    [1.234567891e-9, '1.23457e-9'],
    [0.9999999, '1'],
    [-0.1, '-0.1'],
    [248_956_422, '248956422'],
    [3_000_000_001, '3000000001'],
  ])('writes %d as %s', async (value, text) => {
    expect(await tsv(['x'], [[value]])).toBe(`x\n${text}\n`)
  })
})

describe('json', () => {
  const embedding = Float32Array.of(0.1, -1 / 3, 1e-20)
  const columns = ['id', 'score', 'embedding', 'each']
  const lines = (rows: Cells[], names = columns) => written((output) => jsonlRows(output, names), rows)

  test('lines give every float32 of a list back', async () => {
    const text = await lines([['r"1', 1 / 3, embedding, new Map([['a', 0.1234567]])]])
    const { embedding: list, ...rest } = JSON.parse(text)
    expect(rest).toEqual({ id: 'r"1', score: 0.333333, each: { a: 0.123457 } })
    expect(Float32Array.from(list)).toEqual(embedding)
    // And not all 17 digits of the double beside it.
    expect(text).toContain('[0.100000001,')
  })

  test('is one array, with two rows, one or none', async () => {
    const array = (rows: Cells[]) => written((output) => jsonRows(output, ['a']), rows)
    expect(JSON.parse(await array([[1], [2]]))).toEqual([{ a: 1 }, { a: 2 }])
    expect(JSON.parse(await array([[1]]))).toEqual([{ a: 1 }])
    expect(await array([])).toBe('[]\n')
  })

  test('keys are the texts of a map, in its order, whatever they are', async () => {
    const each = new Map([['z', 1], ['7', 2], ['__proto__', 3], ['constructor', 4], ['', 5]]) // biome-ignore format: a list
    expect(await lines([[each]], ['p'])).toBe('{"p":{"z":1,"7":2,"__proto__":3,"constructor":4,"":5}}\n')
  })
})

test('bed: whole thousandths, no white space in a label, no empty field, positions beyond 2^31', async () => {
  const record: SequenceRecord = { id: 'chr1', file: 'x.fa', line: 1 }
  const rows = [
    { record, start: 0, end: 5, name: 'a b\tc\n', score: 0.99949 },
    { record, start: 3_000_000_000, end: 3_000_000_500, name: '', score: 1 },
    { record, start: 1, end: 2, name: 'x', score: 1e-9 },
  ]
  expect(await written(bedRows, rows)).toBe(
    'chr1\t0\t5\ta_b_c_\t999\t.\nchr1\t3000000000\t3000000500\t.\t1000\t.\nchr1\t1\t2\tx\t0\t.\n',
  )
})

test.each([
  ['', /x.fa: record \(no name\), line 3: BED needs one/],
  ['#1', /x.fa: record #1, line 3: readers of BED pass over lines that begin so/],
  ['track', /record track, line 3: readers of BED/],
  ['browser', /record browser, line 3: readers of BED/],
])('bed: the id %j is an error', async (id, message) => {
  const row = { record: { id, file: 'x.fa', line: 3 }, start: 0, end: 1, name: 'x', score: 1 }
  await expect(written(bedRows, [row])).rejects.toMatchObject({ exitCode: 65, message: expect.stringMatching(message) })
})

test('audacity: seconds with a point and six digits, a label in one line', async () => {
  const rows = [
    { start: 0, end: 1.5, text: 'dog_bark' },
    { start: 3599.98, end: 3600.0000004, text: 'rain\tor\r\nsea' },
  ]
  expect(await written(audacityRows, rows)).toBe(
    '0.000000\t1.500000\tdog_bark\n3599.980000\t3600.000000\train or sea\n',
  )
})

test.each([
  ['calls.bed', 'bed'],
  ['a.b/calls.BED.gz', 'bed'],
  ['calls.json.gz', 'json'],
  ['calls.txt', 'tsv'],
  ['bed', 'tsv'],
  ['x.bed/calls', 'tsv'],
  ['-', 'tsv'],
])('the suffix of %s says %s', (path, format) => {
  expect(formatBySuffix(path, ['tsv', 'json', 'bed'])).toBe(format)
})

describe('matrices', () => {
  /** The format as numpy.lib.format describes it, read by hand. */
  function readNpy(bytes: Buffer) {
    expect(bytes.subarray(0, 8).toString('latin1')).toBe('\x93NUMPY\x01\x00')
    const size = 10 + bytes.readUInt16LE(8)
    expect(size % 64).toBe(0)
    const header = bytes.subarray(10, size).toString('latin1')
    expect(header.at(-1)).toBe('\n')
    const match = /^\{'descr': '<f4', 'fortran_order': False, 'shape': \((\d+), (\d+)\), \} *\n$/.exec(header)
    const data = bytes.subarray(size)
    return { shape: match?.slice(1).map(Number), values: new Float32Array(Uint8Array.from(data).buffer) }
  }

  test.each([
    ['npy', npy, readNpy],
    ['safetensors', safetensors, (bytes: Buffer) => readSafetensors(bytes).embeddings],
  ] as const)('%s gets its number of rows at the end', async (suffix, format, read) => {
    const path = join(folder, `x.${suffix}`)
    const output = await plainFile(await openOutput(path), suffix)
    const matrix = await matrixRows(output, format, 3)
    // More than the writer's buffer, in rows and blocks.
    const block = Float32Array.from({ length: 3 * 50_000 }, (_, i) => i / 7)
    await matrix.write(Float32Array.of(1, 2, 3))
    await matrix.write(block)
    await matrix.write(block.subarray(3, 6))
    await matrix.end()
    await output.close()
    const { shape, values } = read(readFileSync(path))
    expect(shape).toEqual([50_002, 3])
    const expected = new Float32Array(3 * 50_002)
    expected.set([1, 2, 3])
    expected.set(block, 3)
    expected.set(block.subarray(3, 6), 3 * 50_001)
    expect(Buffer.from(values.buffer).equals(Buffer.from(expected.buffer))).toBe(true)
  })
})

describe('parquet', () => {
  const columns = [
    { name: 'id', type: 'string' },
    { name: 'start', type: 'int64' },
    { name: 'time', type: 'double' },
    { name: 'embedding', type: 'floats' },
  ] as const
  const parquet = async (rows: readonly Cells[]) => {
    await written((output) => parquetRows(output, columns), [...rows])
    return join(folder, 'rows')
  }

  test('keeps letters of any script, large whole numbers, fractions and every float32', async () => {
    const floats = Float32Array.of(0.1, -0, 3.4e38, 1e-45)
    const path = await parquet([
      ['größe 🧬', 2 ** 53 - 1, 0.1 + 0.2, floats],
      ['', 0, 3600.125, floats],
    ])
    expect(await readParquet(path)).toEqual([
      { id: 'größe 🧬', start: 2 ** 53 - 1, time: 0.3, embedding: [...floats] },
      { id: '', start: 0, time: 3600.125, embedding: [...floats] },
    ])
  })

  test('goes out in row groups', async () => {
    const width = 50_000
    const rows = Array.from({ length: 7 }, (_, i): Cells => [`r${i}`, i, i / 8, new Float32Array(width).fill(i)])
    const { num_rows, row_groups } = (await parquetFile(await parquet(rows))).metadata
    expect([num_rows, row_groups.map((group) => group.num_rows)]).toEqual([7n, [3n, 3n, 1n]])
    const read = await readParquet(join(folder, 'rows'))
    expect(read.map(({ id, embedding }) => [id, embedding])).toEqual(
      rows.map(([id, , , list]) => [id, [...(list as Float32Array)]]),
    )
  })

  test('has its columns even without rows', async () => {
    const { num_rows, schema } = (await parquetFile(await parquet([]))).metadata
    expect([num_rows, schema.map(({ name }) => name)]).toEqual([
      0n,
      ['schema', 'id', 'start', 'time', 'embedding', 'list', 'element'],
    ])
  })
})

test.each(['-', join(folder, 'y.npy.gz'), '/dev/null'])('%s is no plain file: usage error', async (path) => {
  await expect(openOutput(path).then((output) => plainFile(output, 'npy'))).rejects.toMatchObject({ exitCode: 2 })
})

test('a table for people lines up', () => {
  const table = columns([
    ['name', 'size', 'note'],
    ['origin', 12, 'x'],
    ['a', 1234, ''],
  ])
  expect(table).toBe('name    size  note\norigin    12  x\na       1234\n')
})

test('a table for people holds no control characters, whatever a model says of itself', () => {
  expect(columns([['label', 'x\u001b[31mred\nline']])).toBe('label  x?[31mred?line\n')
})
