import { describe, expect, test } from 'vitest'
import type { SequenceRecord } from '../../src/input/dna/records.js'
import { type Caller, EventCaller, RecordCaller, SpanCaller } from '../../src/tasks/callers.js'
import { bestOf, type Classification, Report } from '../../src/tasks/classify.js'

const record = (id: string): SequenceRecord => ({ id, file: 'x.fa', line: 1 })
const [first, second] = [record('r'), record('r')]

/** A window with these probabilities, its logits moved by a number that says nothing. */
function window(record: SequenceRecord, start: number, end: number, ...p: number[]): Classification {
  const probabilities = Float64Array.from(p)
  const logits = probabilities.map((value) => Math.log(value) + start)
  return { span: { record, start, end }, logits, best: bestOf(probabilities), probabilities }
}

const callsOf = (caller: Caller, windows: Classification[]) => [
  ...windows.flatMap((each) => caller.push(each)),
  ...caller.end(),
]

test('every span is a call of its own; below the least score it has no label', () => {
  const calls = callsOf(new SpanCaller(0.6), [window(first, 0, 10, 0.7, 0.3), window(first, 10, 15, 0.45, 0.55)])
  expect(calls.map(({ start, end, label, score, windows }) => [start, end, label, score, windows])).toEqual([
    [0, 10, 0, 0.7, 1],
    [10, 15, null, 0.55, 1],
  ])
  expect(calls.map(({ probabilities }) => [...probabilities])).toEqual([
    [0.7, 0.3],
    [0.45, 0.55],
  ])
})

test('a doubtful span has no label, and does not count where a record has others', () => {
  const doubtful = { ...window(first, 0, 10, 0.99, 0.01), doubtful: true }
  expect(callsOf(new SpanCaller(0), [doubtful]).map(({ label, score }) => [label, score])).toEqual([[null, 0.99]])
  const run = { sizeOf: () => ({ length: 30, nFraction: 0.4 }) }
  const sure = window(first, 10, 20, 0.2, 0.8)
  for (const windows of [
    [doubtful, sure],
    [sure, doubtful],
    [doubtful, sure, doubtful],
  ]) {
    const [{ label, score, windows: count }] = callsOf(new RecordCaller(0, run), windows)
    expect([label, score, count]).toEqual([1, expect.closeTo(0.8, 10), 1])
  }
  const [{ label, windows }] = callsOf(new RecordCaller(0, run), [doubtful, doubtful])
  expect([label, windows]).toEqual([null, 2])
})

describe('events', () => {
  const places = (minScore: number, ...windows: Classification[]) =>
    callsOf(new EventCaller(minScore), windows).map(({ start, end, label, windows }) => [start, end, label, windows])

  test('join adjacent and overlapping windows of one label, not across a gap, a label or a record', () => {
    const a = (record: SequenceRecord, start: number, end: number) => window(record, start, end, 0.9, 0.1)
    const b = (record: SequenceRecord, start: number, end: number) => window(record, start, end, 0.2, 0.8)
    expect(places(0, a(first, 0, 10), a(first, 10, 20), b(first, 20, 30), a(first, 30, 40))).toEqual([
      [0, 20, 0, 2],
      [20, 30, 1, 1],
      [30, 40, 0, 1],
    ])
    expect(places(0, a(first, 0, 10), a(first, 5, 15), b(first, 10, 20), b(first, 15, 22))).toEqual([
      [0, 15, 0, 2],
      [10, 22, 1, 2],
    ])
    expect(places(0, a(first, 0, 10), a(first, 11, 21), a(second, 21, 30))).toEqual([
      [0, 10, 0, 1],
      [11, 21, 0, 1],
      [21, 30, 0, 1],
    ])
    expect(places(0)).toEqual([])
  })

  test('have the mean score and the mean probabilities; windows without a label are joined too', () => {
    const windows = [
      window(first, 0, 1, 0.9, 0.1),
      window(first, 1, 2, 0.7, 0.3),
      window(first, 2, 3, 0.56, 0.44),
      window(first, 3, 4, 0.48, 0.52),
    ]
    const calls = callsOf(new EventCaller(0.6), windows)
    expect(calls.map(({ label, start, end, windows }) => [label, start, end, windows])).toEqual([
      [0, 0, 2, 2],
      [null, 2, 4, 2],
    ])
    expect(calls.map(({ score }) => score)).toEqual([expect.closeTo(0.8, 12), expect.closeTo(0.54, 12)])
    expect([...calls[0].probabilities]).toEqual([expect.closeTo(0.8, 12), expect.closeTo(0.2, 12)])
  })
})

describe('records', () => {
  const sizes = new Map([
    [first, { length: 25, nFraction: 0.2 }],
    [second, { length: 10 }],
  ])
  const pool = (minScore: number, windows: Classification[]) =>
    callsOf(new RecordCaller(minScore, { sizeOf: (record) => sizes.get(record) ?? null }), windows)

  test('have the mean log-probabilities, made probabilities again, and the share of windows of each label', () => {
    const windows = [
      window(first, 0, 10, 0.8, 0.1, 0.1),
      window(first, 10, 20, 0.1, 0.7, 0.2),
      window(first, 20, 25, 0.5, 0.3, 0.2),
      window(second, 0, 10, 0.2, 0.2, 0.6),
    ]
    const [one, two, none] = pool(0, windows)
    const means = [0.8 * 0.1 * 0.5, 0.1 * 0.7 * 0.3, 0.1 * 0.2 * 0.2].map(Math.cbrt)
    const total = means.reduce((sum, mean) => sum + mean, 0)
    expect([...one.probabilities]).toEqual(means.map((mean) => expect.closeTo(mean / total, 12)))
    expect([...one.shares!]).toEqual([2 / 3, 1 / 3, 0])
    expect(one).toMatchObject({ record: first, start: 0, end: 25, label: 0, windows: 3, nFraction: 0.2 })
    expect(one.score).toBe(one.probabilities[0])
    expect(two).toMatchObject({ record: second, start: 0, end: 10, label: 2, windows: 1, nFraction: undefined })
    expect(two.score).toBeCloseTo(0.6, 12)
    expect(none).toBeUndefined()
  })

  test('come when the next one begins, and are judged by the pooled score', () => {
    const caller = new RecordCaller(0.7, { sizeOf: (record) => sizes.get(record)! })
    expect(caller.push(window(first, 0, 10, 0.9, 0.1))).toEqual([])
    expect(caller.push(window(first, 10, 20, 0.4, 0.6))).toEqual([])
    const [{ label, score }] = caller.push(window(second, 0, 10, 0.9, 0.1))
    expect([label, score]).toEqual([0, expect.closeTo(0.7101, 4)])
    expect(caller.end().map(({ label }) => label)).toEqual([0])
    expect(caller.end()).toEqual([])
    expect(pool(0.72, [window(first, 0, 10, 0.9, 0.1), window(first, 10, 20, 0.4, 0.6)])[0].label).toBeNull()
  })

  test('that broke off give nothing', () => {
    const broken = record('broken')
    const calls = pool(0, [window(broken, 0, 10, 0.9, 0.1), window(second, 0, 10, 0.9, 0.1)])
    expect(calls.map(({ record }) => record)).toEqual([second])
  })
})

test('totals are those of the calls', () => {
  const report = new Report(['a', 'b'], 'seconds')
  const windows = [window(first, 0, 1.5, 0.9, 0.1), window(first, 1.5, 3, 0.8, 0.2), window(first, 3, 4, 0.5, 0.5)]
  for (const call of callsOf(new EventCaller(0.6), windows)) report.add(call)
  expect([report.columns, ...report.rows()]).toEqual([
    ['label', 'count', 'percent', 'seconds'],
    ['a', 1, 50, 3],
    ['b', 0, 0, 0],
    ['unclassified', 1, 50, 1],
  ])
})
