import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { blockSize } from '../../src/input/bytes.js'
import { chunk, decode, fmt, riff } from './audio/helpers.js'
import { readBlocks } from './dna/helpers.js'

// Files come in blocks of 256 KiB. Line ends, headers, qualities and characters of several bytes are put at the border
// between two of them, one byte before and one after it, and what is read must be what was written.

interface Written {
  id: string
  sequence: string
  /** As many as bases. */
  quality: string
  description: string
}

const characters = (units: string[], maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...units), minLength: 1, maxLength })

const written: fc.Arbitrary<Written> = characters([...'ACGTN'], 40).chain((sequence) =>
  fc.record({
    id: characters(['a', 'Z', '7', '_', 'é', '漢', '🧬'], 6),
    sequence: fc.constant(sequence),
    quality: fc.string({
      unit: fc.constantFrom(...'!@+>I~'),
      minLength: sequence.length,
      maxLength: sequence.length,
    }),
    description: fc.constantFrom('', ' x', ' é 漢字'),
  }),
)

/** How the lines of a file are cut and ended. */
interface Layout {
  end: '\n' | '\r\n' | '\r'
  columns: number
}

const layouts: fc.Arbitrary<Layout> = fc.record({
  end: fc.constantFrom('\n', '\r\n', '\r'),
  columns: fc.constantFrom(7, 60),
})

const wrapped = (text: string, { end, columns }: Layout) => text.replace(new RegExp(`.{1,${columns}}`, 'g'), `$&${end}`)

/** The text of a record, and of one that fills so many bytes, for every format that is read as a stream of lines. */
const formats: Record<string, { text(record: Written, layout: Layout): string; filler(bytes: number): string }> = {
  FASTA: {
    text: ({ id, description, sequence }, layout) => `>${id}${description}${layout.end}${wrapped(sequence, layout)}`,
    filler: (bytes) => `>f\n${'A'.repeat(bytes - 4)}\n`,
  },
  FASTQ: {
    text: ({ id, description, sequence, quality }, layout) =>
      `@${id}${description}${layout.end}${wrapped(sequence, layout)}+${layout.end}${wrapped(quality, layout)}`,
    filler(bytes) {
      const name = bytes % 2 === 0 ? 'ff' : 'f'
      const bases = (bytes - name.length - 6) / 2
      return `@${name}\n${'A'.repeat(bases)}\n+\n${'I'.repeat(bases)}\n`
    },
  },
  'JSON lines': {
    text: ({ id, description, sequence }, { end }) =>
      `${JSON.stringify({ id, other: description, seq: sequence })}${end}`,
    filler: (bytes) => `{"id":"f","seq":"${'A'.repeat(bytes - 20)}"}\n`,
  },
}

/** Bytes at which something begins or ends: lines, line ends, characters of several bytes. */
function marks(bytes: Buffer): number[] {
  const isMark = (i: number) => bytes[i] < 32 || bytes[i] > 126 || bytes[i - 1] < 32
  return [...bytes.keys()].filter((i) => i === 0 || isMark(i))
}

const cut = (bytes: Buffer) =>
  Array.from({ length: Math.ceil(bytes.length / blockSize) }, (_, i) =>
    bytes.subarray(i * blockSize, (i + 1) * blockSize),
  )

/** Some records, and how far behind the first byte of the second block one of their marks lies: -1, 0 or 1. */
const cases = fc.record({
  records: fc.array(written, { minLength: 1, maxLength: 4 }),
  layout: layouts,
  mark: fc.nat(),
  behind: fc.constantFrom(-1, 0, 1),
})

/** Expects these records behind the filler, at the lines where their texts begin. */
async function expectRead(blocks: Buffer[], records: Written[], filler: string, texts: string[]): Promise<void> {
  const lines = [filler, ...texts].map((text) => text.match(/\r\n|\r|\n/g)!.length)
  const lineOf = (i: number) => 1 + lines.slice(0, i + 1).reduce((sum, count) => sum + count)
  const read = await readBlocks(blocks)
  expect(read.error).toBeUndefined()
  expect(read.problems).toEqual([])
  expect(read.records.slice(1)).toEqual(records.map(({ id, sequence }, i) => ({ id, line: lineOf(i), sequence })))
}

const runs = { numRuns: 40 }

describe.each(Object.entries(formats))('%s', (_, { text, filler }) => {
  const property = (blocksOf: (bytes: Buffer) => Buffer[]) =>
    fc.asyncProperty(cases, async ({ records, layout, mark, behind }) => {
      const texts = records.map((record) => text(record, layout))
      const bytes = Buffer.from(texts.join(''))
      const all = marks(bytes)
      const before = filler(blockSize + behind - all[mark % all.length])
      await expectRead(blocksOf(Buffer.concat([Buffer.from(before), bytes])), records, before, texts)
    })

  test('is read across the border of two blocks', () => fc.assert(property(cut), runs))

  test('is read across the border of two blocks of what was unpacked', () =>
    fc.assert(
      property((bytes) => cut(gzipSync(bytes, { level: 1 }))),
      runs,
    ))
})

test('gzip is unpacked wherever in a member the border of two blocks falls', () =>
  fc.assert(
    fc.asyncProperty(cases, fc.integer({ min: -30, max: 30 }), async ({ records, layout }, behind) => {
      const { text, filler } = formats.FASTA
      const texts = records.map((record) => text(record, layout))
      const first = storedMember(blockSize + behind, filler)
      await expectRead(cut(Buffer.concat([first, ...texts.map((one) => gzipSync(one))])), records, filler(99), texts)
    }),
    runs,
  ))

/** A member of so many packed bytes; what is not compressed has a packed length that follows that of the text. */
function storedMember(length: number, filler: (bytes: number) => string): Buffer {
  let member = Buffer.alloc(0)
  for (let bytes = length; member.length !== length; bytes += length - member.length)
    member = gzipSync(filler(bytes), { level: 0 })
  return member
}

test('WAV is read wherever in the header of its samples, or in a frame, the border of two blocks falls', () =>
  fc.assert(
    fc.asyncProperty(
      fc.constantFrom(8, 16, 24, 32),
      fc.integer({ min: 1, max: 3 }),
      fc.array(fc.integer({ min: -128, max: 127 }), { minLength: 6, maxLength: 60 }),
      fc.integer({ min: -2, max: 30 }),
      async (bits, channels, highBytes, half) => {
        const bytes = bits / 8
        const frames = Math.floor(highBytes.length / channels)
        const body = Buffer.alloc(frames * channels * bytes)
        for (let i = 0; i < frames * channels; i++) {
          // 8 bits are without sign.
          if (bits === 8) body[i] = highBytes[i] + 128
          else body.writeInt8(highBytes[i], (i + 1) * bytes - 1)
        }
        const format = chunk('fmt ', fmt({ channels, bits }))
        // Chunks begin at even bytes: 12 of the head of the file, 24 of the format, 8 of the head of this one.
        const before = chunk('junk', Buffer.alloc(blockSize - 2 * half - 44))
        const file = riff([format, before, chunk('data', body)])
        for (let channel = 1; channel <= channels; channel++) {
          const { samples, warnings, error } = await decode(cut(file), { channel })
          expect([error, warnings]).toEqual([undefined, []])
          const expected = Array.from({ length: frames }, (_, i) => highBytes[i * channels + channel - 1] / 128)
          expect([...samples]).toEqual(expected)
        }
      },
    ),
    runs,
  ))

test('WAV samples of a whole block and more are what they are in one piece', async () => {
  for (const [bits, channels] of [
    [16, 1],
    [24, 1],
    [24, 2],
    [16, 3],
  ]) {
    const body = Buffer.alloc(Math.floor((2 * blockSize) / ((bits / 8) * channels)) * (bits / 8) * channels)
    for (let i = 0; i < body.length; i++) body[i] = (i * 7919) >> 3
    const file = riff([chunk('fmt ', fmt({ channels, bits })), chunk('data', body)])
    const [parts, whole] = [await decode(cut(file)), await decode([file])]
    expect(parts.error).toBeUndefined()
    expect(Buffer.from(parts.samples.buffer).equals(Buffer.from(whole.samples.buffer))).toBe(true)
  }
})
