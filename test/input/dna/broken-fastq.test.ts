import { expect, test } from 'vitest'
import { randomFrom, readBlocks } from './helpers.js'

// One record of a file is broken in every way, at every cut into blocks: the others come out, and one is counted.

/** Lines of a record: sequences and qualities of one line, or of several. */
interface Style {
  header: (i: number) => string
  sequence: string[]
  plus: (i: number) => string
  qualities: string[]
}

const styles: Record<string, Style> = {
  plain: { header: (i) => `@r${i} x`, sequence: ['ACGTACGTAC'], plus: () => '+', qualities: ['IIII#IIIII'] },
  'qualities that start with @': {
    header: (i) => `@r${i}`,
    sequence: ['ACGTACG'],
    plus: (i) => `+r${i}`,
    qualities: ['@III+@I'],
  },
  'a lone + and qualities that start with @': {
    header: (i) => `@r${i}`,
    sequence: ['ACGTACG'],
    plus: () => '+',
    qualities: ['@III+@I'],
  },
  'qualities that start with +': {
    header: (i) => `@r${i}`,
    sequence: ['ACGTAC'],
    plus: () => '+',
    qualities: ['+IIII@'],
  },
  'qualities that look like DNA': {
    header: (i) => `@r${i}`,
    sequence: ['ACGTAC'],
    plus: () => '+',
    qualities: ['BBBBBB'],
  },
  'header as long as the qualities': {
    header: (i) => `@r${i}xyz`,
    sequence: ['ACGTAC'],
    plus: () => '+',
    qualities: ['IIIIII'],
  },
  'several lines': {
    header: (i) => `@r${i}`,
    sequence: ['ACGTA', 'CGTAC', 'G'],
    plus: () => '+',
    qualities: ['II@II', '@+III', '@'],
  },
}

type Breaking = (style: Style, i: number) => string[]
const drop = (lines: string[]) => [...lines.slice(0, -1), lines.at(-1)!.slice(0, -1)].filter((line) => line !== '')
const breakings: Record<string, Breaking> = {
  'one quality too few': ({ header, sequence, plus, qualities }, i) => [
    header(i),
    ...sequence,
    plus(i),
    ...drop(qualities),
  ],
  'one quality left': ({ header, sequence, plus }, i) => [header(i), ...sequence, plus(i), 'I'],
  'one quality too many': ({ header, sequence, plus, qualities }, i) => [
    header(i),
    ...sequence,
    plus(i),
    ...qualities.slice(0, -1),
    `${qualities.at(-1)}I`,
  ],
  'an empty line of qualities': ({ header, sequence, plus }, i) => [header(i), ...sequence, plus(i), ''],
  'no qualities': ({ header, sequence, plus }, i) => [header(i), ...sequence, plus(i)],
  'no +': ({ header, sequence, qualities }, i) => [header(i), ...sequence, ...qualities],
  'no + and no qualities': ({ header, sequence }, i) => [header(i), ...sequence],
  'no sequence': ({ header, plus, qualities }, i) => [header(i), plus(i), ...qualities],
  'no header': ({ sequence, plus, qualities }, i) => [...sequence, plus(i), ...qualities],
  'a header alone': ({ header }, i) => [header(i)],
  'no @': ({ header, sequence, plus, qualities }, i) => [header(i).slice(1), ...sequence, plus(i), ...qualities],
  'a base too many': ({ header, sequence, plus, qualities }, i) => [
    header(i),
    `${sequence.join('')}A`,
    plus(i),
    ...qualities,
  ],
  'a bad letter': ({ header, sequence, plus, qualities }, i) => [
    header(i),
    `E${sequence[0].slice(1)}`,
    ...sequence.slice(1),
    plus(i),
    ...qualities,
  ],
  'a blank among the qualities': ({ header, sequence, plus, qualities }, i) => [
    header(i),
    ...sequence,
    plus(i),
    ` ${qualities[0].slice(1)}`,
    ...qualities.slice(1),
  ],
}

const idsOf = ({ records }: Awaited<ReturnType<typeof readBlocks>>) => records.map(({ id }) => id)

for (const [name, style] of Object.entries(styles)) {
  const { header, sequence, plus, qualities } = style
  const good = (i: number) => [header(i), ...sequence, plus(i), ...qualities]
  const ids = (numbers: number[]) => numbers.map((i) => header(i).slice(1).split(' ')[0])

  test.each(Object.entries(breakings))(`${name}: %s`, async (_, broken) => {
    for (const end of ['\n', '\r\n'])
      for (const place of [1, 2, 4]) {
        const lines = [1, 2, 3, 4].flatMap((i) => (i === place ? broken(style, i) : good(i)))
        const bytes = Buffer.from(lines.map((line) => line + end).join(''))
        // Without its header a first record makes the file no FASTQ.
        if (bytes[0] !== 64) continue
        const others = ids([1, 2, 3, 4].filter((i) => i !== place))
        const whole = await readBlocks([bytes], 'skip')
        expect(idsOf(whole).filter((id) => others.includes(id))).toEqual(others)
        expect([whole.counts.skippedRecords, whole.problems.length], whole.problems.join()).toEqual([1, 1])
        for (const record of whole.records) expect(record.sequence).toBe(sequence.join(''))
        for (let cut = 1; cut < bytes.length; cut++) {
          const read = await readBlocks([bytes.subarray(0, cut), bytes.subarray(cut)], 'skip')
          expect(read).toEqual({ ...whole, aborted: read.aborted })
        }
      }
  })
}

test('one broken record beside the other: both are counted, the rest comes out', async () => {
  const short = (i: number) => `@r${i}\nACGT\n+\nII\n`
  const good = (i: number) => `@r${i}\nACGT\n+\nIIII\n`
  const text = good(1) + short(2) + short(3) + good(4) + short(5) + short(6) + short(7) + good(8)
  const read = await readBlocks([Buffer.from(text)], 'skip')
  expect(idsOf(read)).toEqual(['r1', 'r4', 'r8'])
  expect(read.counts.skippedRecords).toBe(5)
})

test('a long read without qualities in front of many short ones loses only itself', async () => {
  const long = `@long\n${'ACGT'.repeat(500_000)}\n+\n`
  const short = Array.from({ length: 5000 }, (_, i) => `@s${i}\nACGTACGT\n+\nIIIIIIII\n`).join('')
  const read = await readBlocks([Buffer.from(long + short)], 'skip')
  expect([read.records.length, read.counts.skippedRecords]).toEqual([5000, 1])
})

test('a long read behind a broken record comes out, with bounded memory for what is looked at', async () => {
  const bases = 3_000_000
  const text = `@a\nACGT\n+\nII\n@long\n${'A'.repeat(bases)}\n+\n${'@'.repeat(bases)}\n@b\nA\n+\n@\n`
  const blocks = Array.from({ length: Math.ceil(text.length / 70_000) }, (_, i) =>
    Buffer.from(text.slice(i * 70_000, (i + 1) * 70_000)),
  )
  const read = await readBlocks(blocks, 'skip')
  expect(read.records.map(({ id, sequence }) => [id, sequence.length])).toEqual([
    ['long', bases],
    ['b', 1],
  ])
  expect(read.counts.skippedRecords).toBe(1)
})

test('another header after + is a warning for the file; the reads are kept', async () => {
  const text = Array.from({ length: 5 }, (_, i) => `@r${i}\nACGT\n+${i % 2 ? `r${i}` : 'old name'}\nIIII\n`).join('')
  for (const onError of ['fail', 'skip'] as const) {
    const read = await readBlocks([Buffer.from(text)], onError)
    expect(idsOf(read)).toEqual(['r0', 'r1', 'r2', 'r3', 'r4'])
    expect(read.problems).toEqual([
      `warning: test: lines with '+' that repeat another header: 3 (the records are kept)`,
    ])
  }
  const broken = text.replace('IIII', 'II')
  expect(idsOf(await readBlocks([Buffer.from(broken)], 'skip'))).toEqual(['r1', 'r2', 'r3', 'r4'])
})

test('random qualities over lines of any usual width are never taken for headers', async () => {
  const next = randomFrom(3)
  const wrap = (text: string, width: number) => text.match(new RegExp(`.{1,${width}}`, 'g'))!.join('\n')
  const records = Array.from({ length: 4000 }, (_, i) => {
    const length = 1 + Math.floor(next() * 90)
    const width = 6 + Math.floor(next() ** 2 * 60)
    const sequence = Array.from({ length }, () => 'ACGTN'[Math.floor(next() * 5)]).join('')
    // Many '@' and '+' and letters of DNA.
    const kinds = ['@', '+', 'A', 'B']
    const quality = Array.from({ length }, () =>
      next() < 0.3 ? kinds[Math.floor(next() * 4)] : String.fromCharCode(33 + Math.floor(next() * 94)),
    ).join('')
    return { id: `r${i}`, sequence, text: `@r${i}\n${wrap(sequence, width)}\n+\n${wrap(quality, width)}\n` }
  })
  const read = await readBlocks([Buffer.from(records.map(({ text }) => text).join(''))])
  expect(read.error).toBeUndefined()
  expect(read.records.map(({ id, sequence }) => ({ id, sequence }))).toEqual(
    records.map(({ id, sequence }) => ({ id, sequence })),
  )
})
