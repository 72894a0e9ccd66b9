import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { afterAll, expect, test } from 'vitest'
import { readRecords } from '../../src/input/dna/read.js'
import { unpack } from '../../src/input/unpack.js'
import { readAll, readBlocks } from './dna/helpers.js'

const folder = mkdtempSync(join(tmpdir(), 'longwave-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** Writes a file and returns its path. */
function file(name: string, bytes: string | Uint8Array): string {
  const path = join(folder, name)
  writeFileSync(path, bytes)
  return path
}

const readPaths = (paths: string[], onError: 'fail' | 'skip' = 'fail') =>
  readAll((options) => readRecords(paths, options), onError)

const fasta = '>a\nACGT\n>b\nGG\n'
const ids = ({ records }: Awaited<ReturnType<typeof readAll>>) => records.map(({ id }) => id).join(' ')

test('gzip is known by its bytes, not by the name; several members are one file', async () => {
  const plain = file('plain.gz', fasta)
  const packed = file('packed.txt', Buffer.concat([gzipSync('>a\nAC'), gzipSync('GT\n>b\n'), gzipSync('GG')]))
  const [one, two] = [await readPaths([plain]), await readPaths([packed])]
  expect(two.records).toEqual(one.records)
  expect(two.records.length).toBe(2)
})

test('every cut of a gzip file is an error of that file, whatever the blocks', async () => {
  const packed = gzipSync(fasta)
  for (let length = 2; length < packed.length; length++) {
    const bytes = packed.subarray(0, length)
    for (const blocks of [[bytes], [...bytes].map((byte) => Uint8Array.of(byte))]) {
      const { error } = await readBlocks(blocks)
      expect(error).toMatchObject({ exitCode: 65 })
      expect(error!.message).toMatch(/^test: (record b, line \d: )?gzip data that is cut off, expected more of it$/)
    }
  }
})

test('what could be unpacked before a damaged place is still read', async () => {
  const text = Array.from(
    { length: 14_000 },
    (_, i) => `>r${i}\n${((i * 7919) % 4096).toString(2).replaceAll('0', 'A').replaceAll('1', 'C')}\n`,
  )
  const packed = gzipSync(text.join(''), { level: 1 })
  const damaged = Buffer.from(packed)
  damaged.fill(0xff, packed.length - 200, packed.length - 100)
  const [path, whole] = [file('damaged', damaged), file('whole', packed)]
  const reads = [await readPaths([path], 'skip'), await readPaths([path], 'skip'), await readPaths([whole])]
  expect(reads[0].records).toEqual(reads[1].records)
  expect(reads[0].records.length).toBeGreaterThan(1000)
  expect(reads[0].records).toEqual(reads[2].records.slice(0, reads[0].records.length))
  expect(reads[0].counts.skippedFiles).toBe(1)
  expect(reads[0].problems.join()).toMatch(/damaged gzip data/)
})

test('all that can be unpacked in front of a damaged or missing place is read, as gzip -dc prints it', async () => {
  const text = Array.from(
    { length: 8000 },
    (_, i) => `>r${i}\n${'ACGT'[i % 4].repeat(4)}${'ACGT'[(i >> 3) % 4]}A\n`,
  ).join('')
  const packed = gzipSync(text)
  const damaged = Buffer.from(packed)
  // The last byte of the text's checksum, and a place in the middle.
  damaged[packed.length - 8] ^= 1
  const middle = Buffer.from(packed)
  middle.fill(0xff, packed.length >> 1, (packed.length >> 1) + 8)
  const cuts = [packed.length - 1, packed.length - 9, packed.length >> 1, 3000].map((length) =>
    packed.subarray(0, length),
  )
  for (const bytes of [damaged, middle, ...cuts]) {
    const { stdout } = spawnSync('gzip', ['-dc'], { input: bytes })
    const blocks: Buffer[] = []
    const unpacked = unpack('test', oneBlock(bytes), () => {})
    await expect(
      (async () => {
        for await (const block of unpacked) blocks.push(Buffer.from(block))
      })(),
    ).rejects.toThrow(/gzip data/)
    const all = Buffer.concat(blocks)
    expect(all.length).toBeGreaterThanOrEqual(stdout.length)
    expect(all.subarray(0, stdout.length).equals(stdout)).toBe(true)
  }
  // Whether the last FASTA record is whole cannot be known.
  const { records, counts } = await readBlocks([damaged], 'skip')
  expect([records.length, counts.skippedFiles]).toEqual([7999, 1])
})

test('every FASTQ record that is whole before gzip breaks off comes out', async () => {
  const text = Array.from({ length: 300 }, (_, i) => `@r${i}\nACGT${'ACGT'[i % 4]}\n+\n@I+${i % 10}I\n`).join('')
  const packed = gzipSync(text)
  for (let cut = 20; cut < packed.length; cut += 7) {
    const bytes = packed.subarray(0, cut)
    const printed = spawnSync('gzip', ['-dc'], { input: bytes }).stdout.toString()
    const { records, counts } = await readBlocks([bytes], 'skip')
    expect([records.length, counts.skippedFiles]).toEqual([Math.floor((printed.split('\n').length - 1) / 4), 1])
  }
})

async function* oneBlock(block: Uint8Array) {
  yield block
}

test('a wrong checksum is an error; line ends and zeros after gzip are passed over, other bytes are a warning', async () => {
  const packed = gzipSync(fasta)
  const wrong = Buffer.from(packed)
  wrong[packed.length - 8] ^= 1
  const { error } = await readBlocks([wrong])
  expect(error).toMatchObject({ message: 'test: damaged gzip data (incorrect data check)', exitCode: 65 })
  const warning = 'warning: test: what follows the gzip data is no gzip: it is ignored'
  const cases: [string, string[]][] = [
    ...['\n', '\r\n', '\n\n', '\0', '\0'.repeat(512), '\0\n\0'].map((tail): [string, string[]] => [tail, []]),
    ...['garbage', '>c\nA\n', 'g', '\x1fgarbage', '\0\0x', '\nx'].map((tail): [string, string[]] => [tail, [warning]]),
  ]
  for (const [text, warnings] of cases) {
    const tail = Buffer.from(text, 'latin1')
    const bytewise = [...tail].map((byte) => Uint8Array.of(byte))
    for (const blocks of [[packed, tail], [Buffer.concat([packed, tail])], [packed, ...bytewise]]) {
      const { error, records, problems } = await readBlocks(blocks)
      expect([error, records.map(({ id }) => id), problems]).toEqual([undefined, ['a', 'b'], warnings])
    }
  }
  // The start of another member is no garbage.
  for (const cut of [1, 2, 12]) {
    const { error } = await readBlocks([packed, gzipSync(fasta).subarray(0, cut)])
    expect(error?.message).toMatch(/^test: .*gzip data that is cut off/)
  }
})

test('bgzip without its end mark is a warning', async () => {
  const bytes = readFileSync('test/specimens/dna/biopython_example.fastq.bgz')
  const cut = await readBlocks([bytes.subarray(0, -28)])
  expect(cut.problems).toEqual(['warning: test: the end mark of bgzip is missing: the file may be cut off'])
  expect(cut.records.length).toBe(3)
  expect((await readBlocks([...bytes].map((byte) => Uint8Array.of(byte)))).problems).toEqual([])
})

test.each([
  ['bzip2 data', 'BZh91AY'],
  ['zstd data', '\x28\xb5\x2f\xfd'],
  ['a zip archive', 'PK\x03\x04'],
  ['CRAM', 'CRAM\x03'],
])('%s is refused with its cure, plain or inside gzip', async (name, magic) => {
  const bytes = Buffer.from(magic, 'latin1')
  for (const blocks of [[bytes], [gzipSync(bytes)]]) {
    const { error } = await readBlocks(blocks)
    expect(error).toMatchObject({ exitCode: 65 })
    expect(error!.message).toMatch(new RegExp(`^test: ${name}, expected .*; convert it: .* test \\| longwave`))
  }
})

test('gzip inside gzip is refused', async () => {
  const { error } = await readBlocks([gzipSync(gzipSync(fasta))])
  expect(error?.message).toMatch(/compressed twice/)
})

test('missing files, folders and unreadable files are exit 66', async () => {
  const missing = join(folder, 'missing.fa')
  const locked = file('locked.fa', fasta)
  chmodSync(locked, 0)
  const cases: [string, string][] = [
    [missing, 'no such file'],
    [folder, 'a folder, expected a file'],
  ]
  // root reads everything
  if (process.getuid?.() !== 0 && process.platform !== 'win32') cases.push([locked, 'may not be read (EACCES)'])
  for (const [path, message] of cases) {
    const { error } = await readPaths([path])
    expect(error).toMatchObject({ message: `${path}: ${message}`, exitCode: 66 })
  }
})

test('several files; skip goes on with the next file', async () => {
  const good = file('good.fa', '>a\nA')
  const fastq = file('good.fq', '@b\nA\n+\nI')
  const bad = file('bad.fa', 'ACGT')
  const missing = join(folder, 'missing.fa')
  const { records, counts, problems } = await readPaths([good, bad, missing, fastq], 'skip')
  expect(records.map(({ id }) => id)).toEqual(['a', 'b'])
  expect(counts).toMatchObject({ skippedRecords: 0, skippedFiles: 2 })
  expect(problems.length).toBe(2)
  const strict = await readPaths([good, bad, fastq])
  expect(ids(strict)).toBe('a')
  expect(strict.error?.message).toMatch(/bad\.fa: line 1: expected/)
})

test('no path, or -, is standard input, which can be read once', async () => {
  const real = Object.getOwnPropertyDescriptor(process, 'stdin')!
  const feed = () =>
    Object.defineProperty(process, 'stdin', { value: Readable.from([Buffer.from('>a\nA')]), configurable: true })
  try {
    feed()
    expect(ids(await readPaths([]))).toBe('a')
    feed()
    expect(ids(await readPaths([file('b.fa', '>b\nC'), '-']))).toBe('b a')
  } finally {
    Object.defineProperty(process, 'stdin', real)
  }
  expect(() => readRecords(['-', '-'])).toThrow(`standard input ('-') can be read only once`)
})

test('leaving the loop early closes the file', async () => {
  const path = file('many.fa', `>a\n${'ACGT'.repeat(100_000)}\n`.repeat(3))
  for (let round = 0; round < 20; round++) {
    for await (const { pieces } of readRecords([path])) {
      expect(pieces.length).toBeGreaterThan(0)
      break
    }
  }
})
