import { describe, expect, test } from 'vitest'
import type { RecordBatch, SequenceRecord } from '../../src/input/dna/records.js'
import { type LeftOut, type LengthLimits, settledParts } from '../../src/tasks/lengths.js'
import { type SpanPiece, streamedSpans, wholeSpans, windows } from '../../src/tasks/windows.js'
import { seeded } from '../engine/models.js'

/** Batches of records whose base i is i mod 4, cut at random; the batch buffer is reused and scribbled over. */
async function* batchesOf(lengths: (number | 'aborted')[], seed = 1): AsyncGenerator<RecordBatch> {
  const random = seeded(seed)
  const codes = new Uint8Array(200)
  for (const [r, length] of lengths.entries()) {
    const record: SequenceRecord = { id: `r${r}`, file: 'x.fa', line: 1 }
    const bases = length === 'aborted' ? 50 : length
    let offset = 0
    while (true) {
      const n = Math.min(bases - offset, Math.floor(random() * 100))
      const last = offset + n === bases && random() < 0.5
      for (let i = 0; i < n; i++) codes[i] = (offset + i) % 4
      const aborted = last && length === 'aborted'
      yield { codes, pieces: [{ record, offset, start: 0, end: n, first: offset === 0 && n > 0, last, aborted }] }
      codes.fill(9)
      offset += n
      if (last) break
    }
  }
}

const none: LeftOut = { tooShort: 0, tooLong: 0, empty: 0 }
const settled = (
  lengths: (number | 'aborted')[],
  limits: LengthLimits = {},
  whole = false,
  leftOut = { ...none },
  seed = 1,
) => settledParts(batchesOf(lengths, seed), limits, whole, leftOut)

async function collect(pieces: AsyncIterable<SpanPiece<Uint8Array>>) {
  const out = []
  for await (const { span, rows } of pieces) {
    const { record, start, end } = span
    expect([...rows]).toEqual(Array.from({ length: rows.length }, (_, i) => (start + i) % 4))
    out.push([record.id, start, end])
  }
  return out
}

describe('windows', () => {
  test.each([
    [
      10,
      10,
      25,
      [
        [0, 10],
        [10, 20],
        [20, 25],
      ],
    ],
    [
      10,
      10,
      20,
      [
        [0, 10],
        [10, 20],
      ],
    ],
    [
      10,
      5,
      20,
      [
        [0, 10],
        [5, 15],
        [10, 20],
      ],
    ],
    [
      10,
      5,
      22,
      [
        [0, 10],
        [5, 15],
        [10, 20],
        [15, 22],
      ],
    ],
    [
      10,
      15,
      41,
      [
        [0, 10],
        [15, 25],
        [30, 40],
      ],
    ],
    [
      10,
      15,
      34,
      [
        [0, 10],
        [15, 25],
        [30, 34],
      ],
    ],
    [10, 10, 7, [[0, 7]]],
    [
      1,
      1,
      3,
      [
        [0, 1],
        [1, 2],
        [2, 3],
      ],
    ],
  ])('of %i every %i over %i bases', async (size, stride, length, expected) => {
    for (let seed = 1; seed < 20; seed++) {
      const found = await collect(windows(settled([length, 3], {}, false, { ...none }, seed), size, stride, 0))
      expect(found.filter(([id]) => id === 'r0')).toEqual(expected.map(([start, end]) => ['r0', start, end]))
    }
  })

  test('a last window below the minimum length is left out', async () => {
    expect(await collect(windows(settled([25]), 10, 10, 6))).toEqual([
      ['r0', 0, 10],
      ['r0', 10, 20],
    ])
  })

  test('unless it is the only one; each that is left out is counted', async () => {
    let left = 0
    const pieces = windows(settled([3, 13, 16, 20, 4]), 10, 10, 6, 1, undefined, () => left++)
    expect(await collect(pieces)).toEqual([
      ['r0', 0, 3],
      ['r1', 0, 10],
      ['r2', 0, 10],
      ['r2', 10, 16],
      ['r3', 0, 10],
      ['r3', 10, 20],
      ['r4', 0, 4],
    ])
    expect(left).toBe(1)
  })
})

test('whole spans: records come in one piece whatever the batches', async () => {
  for (let seed = 1; seed < 10; seed++) {
    const found = await collect(wholeSpans(settled([3, 170, 1, 500], {}, false, { ...none }, seed)))
    expect(found).toEqual([
      ['r0', 0, 3],
      ['r1', 0, 170],
      ['r2', 0, 1],
      ['r3', 0, 500],
    ])
  }
})

test('length limits and records that turn out bad', async () => {
  for (const whole of [false, true]) {
    const leftOut = { ...none }
    const limits = { minLength: 4, maxLength: 200 }
    const parts = settled([3, 170, 201, 'aborted', 0, 4], limits, whole, leftOut, 3)
    expect(await collect(wholeSpans(parts))).toEqual([
      ['r1', 0, 170],
      ['r5', 0, 4],
    ])
    expect(leftOut).toEqual({ tooShort: 1, tooLong: 1, empty: 1 })
  }
})

test('a record that turns out bad gives no window when its end is waited for', async () => {
  for (let seed = 1; seed < 10; seed++) {
    const found = await collect(windows(settled(['aborted', 12], {}, true, { ...none }, seed), 10, 10, 0))
    expect(found).toEqual([
      ['r1', 0, 10],
      ['r1', 10, 12],
    ])
  }
})

test('streamed spans: pieces of a chunk, the last one ends the record', async () => {
  for (let seed = 1; seed < 10; seed++) {
    const pieces: unknown[] = []
    for await (const { rows, start, ends, span } of streamedSpans(
      settled([64, 65, 7], {}, false, { ...none }, seed),
      32,
    )) {
      pieces.push([span.record.id, rows.length, rows[0], start, ends])
    }
    expect(pieces).toEqual([
      ['r0', 32, 0, 0, false],
      ['r0', 32, 0, 32, true],
      ['r1', 32, 0, 0, false],
      ['r1', 32, 0, 32, false],
      ['r1', 1, 0, 64, true],
      ['r2', 7, 0, 0, true],
    ])
  }
})
