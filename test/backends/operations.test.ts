import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend, FloatArray } from '../../src/backends/backend.js'
import { openReferenceBackend } from '../../src/backends/reference/index.js'
import type { Direction, Segments } from '../../src/backends/segments.js'
import { backends } from './opened.js'
import {
  linearCase,
  type Named,
  normCase,
  operations,
  resultGradients,
  runBackward,
  runForward,
  type Values,
  values,
} from './operations.js'
import { cutSegments, segmentsOf } from './segments.js'

/**
 * A float32 sum of n terms of either sign errs by about sqrt(n) roundings of the largest partial sum; a few roundings
 * more come from polynomial exponentials and from the recurrence, which damps what is old.
 */
const tolerance = (terms: number, largest: number) => 2 ** -23 * 4 * (4 + Math.sqrt(terms)) * Math.max(1, largest)

function compare(got: Named<Values>, wanted: Named<Values>, terms: number, slack: number): void {
  expect(Object.keys(got)).toEqual(Object.keys(wanted))
  for (const [name, { rows, cols, data }] of Object.entries(wanted)) {
    expect([got[name].rows, got[name].cols], name).toEqual([rows, cols])
    const numbers = Array.from(data)
    const largest = numbers.reduce((max, v) => Math.max(max, Math.abs(v)), 0)
    const worst = numbers.reduce((max, v, i) => Math.max(max, Math.abs(got[name].data[i] - v)), 0)
    expect(worst, name).toBeLessThanOrEqual(slack * tolerance(terms, largest))
  }
}

describe.each(backends.filter(({ name }) => name !== 'reference'))('$name against reference', (underTest) => {
  const { open, slack } = underTest
  const reference = openReferenceBackend()
  let backend: Backend
  beforeAll(async () => {
    backend = await open()
  })
  afterAll(() => backend.close())

  const cases = operations().filter((op) => underTest.gradients || !op.trains)
  it.each(cases.map((op) => [op.name, op] as const))('%s', async (_, op) => {
    const wanted = await runForward(reference, op)
    const results = await runForward(backend, op)
    compare(results, wanted, op.terms, slack)
    if (!underTest.gradients) expect(await runForward(backend, op), 'the same again').toEqual(results)
    if (!op.backward || !underTest.gradients) return
    const dy = resultGradients(wanted)
    const wantedGradients = await runBackward(reference, op, dy)
    for (const kind of ['used', 'unwritten'] as const) {
      const gradients = await runBackward(backend, op, dy, kind)
      compare(gradients, wantedGradients, op.terms, slack)
      expect(await runBackward(backend, op, dy, kind), `the same again into ${kind} ones`).toEqual(gradients)
    }
  })
})

/** Rows from .. to - 1 of values. */
const slice = ({ cols, data }: Values, from: number, to: number): Values => ({
  rows: to - from,
  cols,
  data: data.slice(from * cols, to * cols),
})

/** An operation with a state on some rows of the inputs. */
type Piece = (x: Named<Values>, segments: Segments, state: Values) => Promise<{ y: Values; state: Values }>

/** Runs all rows in pieces that end at `cuts`, in the order of reading, and joins the results. */
async function inPieces(
  piece: Piece,
  x: Named<Values>,
  lengths: number[],
  direction: Direction,
  first: Values,
  cuts: number[],
) {
  const T = lengths.reduce((sum, length) => sum + length, 0)
  const borders = [0, ...cuts, T]
  const order = borders.slice(1).map((to, i) => [borders[i], to])
  if (direction === 'reverse') order.reverse()
  const parts: FloatArray[] = []
  let state = first
  for (const [from, to] of order) {
    const rows = Object.fromEntries(Object.entries(x).map(([name, one]) => [name, slice(one, from, to)]))
    const result = await piece(rows, cutSegments(lengths, from, to), state)
    state = result.state
    parts.push(result.y.data)
  }
  if (direction === 'reverse') parts.reverse()
  return { y: parts.flatMap((part) => Array.from(part)), state: Array.from(state.data) }
}

const equal = (got: number[], wanted: number[], _terms = 1) => expect(got).toEqual(wanted)
const close =
  (slack: number) =>
  (got: number[], wanted: number[], terms = 1) => {
    expect(got.length).toBe(wanted.length)
    const largest = wanted.reduce((max, v) => Math.max(max, Math.abs(v)), 0)
    const worst = wanted.reduce((max, v, i) => Math.max(max, Math.abs(got[i] - v)), 0)
    expect(worst).toBeLessThanOrEqual(slack * tolerance(terms, largest))
  }

describe.each(
  backends.map((backend) => ({
    ...backend,
    what: backend.sameBytes ? 'the same bytes' : 'the same numbers',
    same: backend.sameBytes ? equal : close(backend.slack),
  })),
)('$what wherever a sequence is cut, on $name', ({ open, same, cutEvery }) => {
  let backend: Backend
  beforeAll(async () => {
    backend = await open()
  })
  afterAll(() => backend.close())

  const put = ({ data, rows, cols }: Values) => backend.upload(data, rows, cols)
  const get = async (x: ReturnType<typeof put>): Promise<Values> => ({
    rows: x.rows,
    cols: x.cols,
    data: await backend.download(x),
  })

  async function check(
    piece: Piece,
    x: Named<Values>,
    lengths: number[],
    direction: Direction,
    state: Values,
    { stride = 1, terms = 1 } = {},
  ) {
    const { offsets } = segmentsOf(lengths)
    const T = offsets[lengths.length]
    const expected = await inPieces(piece, x, lengths, direction, state, [])
    expect(expected.y.every(Number.isFinite)).toBe(true)
    const expectSame = (got: typeof expected) => {
      same(got.y, expected.y, terms)
      same(got.state, expected.state, terms)
    }
    const all = Array.from({ length: T - 1 }, (_, i) => i + 1)
    for (const cut of all.filter((cut) => cut % cutEvery === 1 % cutEvery || cut === T - 1)) {
      // A segment may only go on after a multiple of the stride.
      const into = [...offsets].findLast((offset) => offset <= cut) ?? 0
      if ((cut - into) % stride === 0) expectSame(await inPieces(piece, x, lengths, direction, state, [cut]))
    }
    if (stride === 1) {
      expectSame(await inPieces(piece, x, lengths, direction, state, all))
    }
  }

  it.each([
    ['forward', 2],
    ['forward', 4],
    ['reverse', 3],
    ['reverse', 5],
  ] as const)('conv %s K %i', async (direction, K) => {
    const [weight, bias] = [put(values(K, 19)), put(values(1, 19))]
    const piece: Piece = async ({ x }, segments, before) => {
      const state = put(before)
      const y = backend.causalConv(put(x), weight, bias, { segments, direction, activation: 'silu', state })
      return { y: await get(y), state: await get(state) }
    }
    await check(piece, { x: values(31, 19) }, [2, 17, 1, 11], direction, values(4 * K, 19))
  })

  it.each([
    ['forward', 16, 1],
    ['forward', 3, 3],
    ['reverse', 16, 1],
    ['reverse', 20, 3],
  ] as const)('scan %s N %i G %i', async (direction, N, G) => {
    const [T, E] = [75, 12]
    const [A_log, D, dtBias] = [put(values(E, N, 0.7)), put(values(1, E)), put(values(1, E))]
    const piece: Piece = async (x, segments, before) => {
      const state = put(before)
      const [u, dt, B, C, z] = [put(x.u), put(x.dt), put(x.B), put(x.C), put(x.z)]
      const args = { u, dt, A_log, B, C, D, z, dtBias, softplus: true, segments, direction }
      return { y: await get(backend.selectiveScan(args, state)), state: await get(state) }
    }
    const x = { u: values(T, E), dt: values(T, E), B: values(T, G * N), C: values(T, G * N), z: values(T, E) }
    await check(piece, x, [1, 40, 3, 31], direction, values(4 * E, N))
  })

  it.each([
    [Infinity, 43],
    [7, 7],
    [7, 9],
    [1, 1],
  ])('attention window %d of a cache of %i rows', async (window, capacity) => {
    const [T, heads, groups, width] = [43, 6, 2, 5]
    const lengths = [1, 19, 2, 21]
    const piece: Piece = async (x, segments, before) => {
      const [keys, values] = [0, 1].map((i) => put(slice(before, 4 * i, 4 * i + 4)))
      const [q, k, v] = [put(x.q), put(x.k), put(x.v)]
      const y = backend.attention({ q, k, v, heads, width, scale: 0.5, window, segments }, { keys, values })
      const after = [...(await backend.download(keys)), ...(await backend.download(values))]
      return { y: await get(y), state: { ...before, data: Float64Array.from(after) } }
    }
    const cols = groups * width
    const x = { q: values(T, heads * width), k: values(T, cols), v: values(T, cols) }
    const empty = { rows: 8, cols: capacity * cols, data: new Float64Array(8 * capacity * cols) }
    await check(piece, x, lengths, 'forward', empty)
  })

  it.each([
    ['forward', 4, 1],
    ['reverse', 7, 3],
  ] as const)('ssd %s N %i G %i', async (direction, N, G) => {
    const [T, H, P] = [75, 3, 5]
    const [A_log, D, dtBias] = [put(values(1, H, 0.7)), put(values(1, H)), put(values(1, H))]
    const piece: Piece = async (each, segments, before) => {
      const state = put(before)
      const [x, dt, B, C] = [put(each.x), put(each.dt), put(each.B), put(each.C)]
      const args = { x, dt, A_log, B, C, groups: G, D, dtBias, dtLimit: [0.1, 2] as const, segments, direction }
      return { y: await get(backend.ssd(args, state)), state: await get(state) }
    }
    const x = { x: values(T, H * P), dt: values(T, H), B: values(T, G * N), C: values(T, G * N) }
    // One of more rows than a block of the cpu kernel has.
    await check(piece, x, [1, 67, 3, 4], direction, values(4 * H * P, N))
  })

  it('gatedDelta', async () => {
    const [T, H, G, K, V] = [75, 4, 2, 3, 9]
    const [A_log, dtBias] = [put(values(1, H, 0.7)), put(values(1, H))]
    const piece: Piece = async (each, segments, before) => {
      const state = put(before)
      const [q, k, v, dt, beta] = [put(each.q), put(each.k), put(each.v), put(each.dt), put(each.beta)]
      const args = { q, k, v, dt, beta, A_log, dtBias, groups: G, segments, direction: 'forward' as const }
      return { y: await get(backend.gatedDelta(args, state)), state: await get(state) }
    }
    const x = {
      q: values(T, G * K),
      k: values(T, G * K, 0.5),
      v: values(T, H * V),
      dt: values(T, H),
      beta: values(T, H),
    }
    await check(piece, x, [1, 67, 3, 4], 'forward', values(4 * H * K, V))
  })

  it('turns', async () => {
    const [T, H, S] = [43, 6, 3]
    const dtBias = put(values(1, H))
    const piece: Piece = async (x, segments, before) => {
      const state = put(before)
      const args = { angles: put(x.angles), pairs: S, dt: put(x.dt), dtBias, segments }
      return { y: await get(backend.turns(args, state)), state: await get(state) }
    }
    const x = { angles: values(T, 2 * S), dt: values(T, H) }
    // Angles are added up, and nothing damps what is old.
    await check(piece, x, [1, 19, 2, 21], 'forward', values(4 * H, S), { terms: 21 })
  })

  it('trapezoid', async () => {
    // As many channels as states, so that one tensor holds all that is carried.
    const [T, H, P] = [75, 3, 6]
    const cols = H * P
    const [D, dtBias] = [put(values(1, H)), put(values(1, H))]
    const piece: Piece = async (x, segments, before) => {
      const ends = [0, 4 * cols, 4 * (cols + H), before.rows]
      const [ssm, k, v] = [0, 1, 2].map((i) => put(slice(before, ends[i], ends[i + 1])))
      const given = { v: put(x.v), k: put(x.k), q: put(x.q), dt: put(x.dt), A: put(x.A), trap: put(x.trap) }
      const y = backend.trapezoid({ ...given, D, dtBias, leastRate: 0.1, segments }, { ssm, k, v })
      const after: number[] = []
      for (const state of [ssm, k, v]) after.push(...(await backend.download(state)))
      return { y: await get(y), state: { ...before, data: Float64Array.from(after) } }
    }
    const wide = Object.fromEntries(['v', 'k', 'q'].map((name) => [name, values(T, cols)]))
    const perHead = Object.fromEntries(['dt', 'A', 'trap'].map((name) => [name, values(T, H)]))
    await check(piece, { ...wide, ...perHead }, [1, 67, 3, 4], 'forward', values(4 * (cols + 2 * H), P))
  })

  it.each([
    [3, 1],
    [3, 2],
    [5, 3],
    [4, 4],
  ])('unfold window %i stride %i', async (window, stride) => {
    const piece: Piece = async ({ x }, segments, before) => {
      const state = put(before)
      return { y: await get(backend.unfold(put(x), window, stride, segments, state)), state: await get(state) }
    }
    await check(piece, { x: values(30, 5) }, [13, 2, 15], 'forward', values(3 * window, 5), { stride })
  })

  it.each(
    [
      linearCase({ T: 37, I: 24, O: 65, bias: true, activation: 'silu' }),
      linearCase({ T: 37, I: 129, O: 7 }),
      normCase({ T: 37, D: 33, kind: 'rms' }),
      normCase({ T: 37, D: 16, kind: 'layer', bias: true }),
      normCase({ T: 37, D: 21, kind: 'rms', groups: 3 }),
    ].map((op) => [op.name, op] as const),
  )('%s, row by row', async (_, op) => {
    const { y } = await runForward(backend, op)
    for (const [from, to] of [
      [0, 1],
      [0, 16],
      [5, 37],
      [36, 37],
    ]) {
      const part = await runForward(backend, { ...op, inputs: { ...op.inputs, x: slice(op.inputs.x, from, to) } })
      same([...part.y.data], [...slice(y, from, to).data])
    }
  })

  it.each(['mean', 'max', 'last'] as const)('pool %s', async (how) => {
    const x = values(23, 9)
    const lengths = [4, 18, 1]
    const whole = await get(backend.pool(put(x), cutSegments(lengths, 0, 23), how, null))
    for (const cut of [1, 4, 11, 22]) {
      const carry = backend.zeros(3, 18)
      const parts = []
      for (const [from, to] of [
        [0, cut],
        [cut, 23],
      ])
        parts.push(await get(backend.pool(put(slice(x, from, to)), cutSegments(lengths, from, to), how, carry)))
      same(
        parts.flatMap(({ data }) => [...data]),
        [...whole.data],
      )
    }
  })

  it('pool: a sequence may end with no row of its own', async () => {
    const carry = backend.zeros(1, 2)
    const segment = {
      offsets: Int32Array.of(0, 2),
      start: Float64Array.of(0),
      ends: Uint8Array.of(0),
      slot: Int32Array.of(0),
    }
    const end = { ...segment, offsets: Int32Array.of(0, 0), start: Float64Array.of(2), ends: Uint8Array.of(1) }
    backend.pool(backend.upload([1, 2], 2, 1), segment, 'mean', carry)
    expect([...(await backend.download(backend.pool(backend.zeros(0, 1), end, 'mean', carry)))]).toEqual([1.5])
    expect(() => backend.pool(backend.zeros(0, 1), { ...end, start: Float64Array.of(0) }, 'mean', carry)).toThrow(
      'empty',
    )
  })
})

describe.each(backends)('mistakes on $name', ({ open }) => {
  it('names an id outside of the embedding', async () => {
    const backend = await open()
    const table = backend.zeros(5, 3)
    expect(() => backend.embedRows(Int32Array.of(1, 5), table)).toThrow(/5/)
    expect(() => backend.embedRows(Int32Array.of(-1), table)).toThrow(/-1/)
    await backend.close()
  })
})
