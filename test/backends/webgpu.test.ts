import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend, Tensor } from '../../src/backends/backend.js'
import { openReferenceBackend } from '../../src/backends/reference/index.js'
import { oneSegment } from '../../src/backends/segments.js'
import type { ScanForm } from '../../src/backends/webgpu/scan.js'
import { tileName, tiles } from '../../src/backends/webgpu/tile.js'
import { openWebgpuBackend } from '../../src/backends/webgpu/webgpu.js'
import { exitCodes } from '../../src/errors.js'
import { gpu } from './has-gpu.js'
import { gatedDeltaCase, operations, runForward, scanCase, values } from './operations.js'
import { segmentsOf } from './segments.js'

const silu = (x: number) => x / (1 + Math.exp(-x))

/** The largest difference. */
function difference(got: ArrayLike<number>, wanted: ArrayLike<number>): number {
  expect(got.length).toBe(wanted.length)
  return Array.from(got).reduce((worst, v, i) => Math.max(worst, Math.abs(v - wanted[i])), 0)
}

describe.skipIf(!gpu)('webgpu', () => {
  let b: Backend
  beforeAll(async () => {
    b = await openWebgpuBackend()
  })
  afterAll(() => b.close())

  it.each(['sequential', 'pieces'] as const)('gives the same bits from run to run, scans %s', async (scan) => {
    const cases = operations().filter((op, i) => !op.trains && i % (op.name.startsWith('scan') ? 9 : 17) === 0)
    expect(cases.length).toBeGreaterThan(15)
    const runAll = async () => {
      const backend = await openWebgpuBackend({ scan })
      const results = []
      for (const op of cases) results.push(await runForward(backend, op))
      await backend.close()
      return results
    }
    expect(await runAll()).toEqual(await runAll())
  })

  it('reads and writes columns of one tensor in one operation', async () => {
    const [T, E, N] = [150, 5, 3]
    const wide = values(T, 4 * E)
    const [A_log, B, C] = [values(E, N, 0.7), values(T, N), values(T, N)]
    const scanInto = async (backend: Backend) => {
      const put = ({ data, rows, cols }: typeof wide) => backend.upload(data, rows, cols)
      const all = put(wide)
      const part = (i: number) => backend.columns(all, i * E, (i + 1) * E)
      backend.selectiveScan(
        {
          ...{ u: part(0), dt: part(1), z: part(2), A_log: put(A_log), B: put(B), C: put(C), D: null, dtBias: null },
          ...{ softplus: true, segments: segmentsOf([T]), direction: 'forward' },
        },
        null,
        part(3),
      )
      return backend.download(all)
    }
    const wanted = await scanInto(openReferenceBackend())
    expect(difference(await scanInto(b), wanted)).toBeLessThan(1e-4)
    expect(difference(wanted, wide.data)).toBeGreaterThan(0.1)
  })

  it('keeps the order of what is written, read and given back', async () => {
    const x = b.upload([1, 2, 3], 1, 3)
    const before = b.activate(x, 'silu')
    b.write(x, [4, 5, 6])
    const after = b.activate(x, 'silu')
    b.release(x)
    const next = b.upload([7, 8, 9], 1, 3)
    const zeros = b.zeros(1, 3)
    const numbers = []
    for (const one of [before, after, next, zeros]) numbers.push(...(await b.download(one)))
    expect(difference(numbers, [...[1, 2, 3, 4, 5, 6].map(silu), 7, 8, 9, 0, 0, 0])).toBeLessThan(1e-5)
  })

  it('takes more commands than one submit has', async () => {
    const one = b.upload([1], 1, 1)
    let sum = b.zeros(1, 1)
    for (let i = 0; i < 3000; i++) {
      const next = b.combine(sum, one, 'add')
      b.release(sum)
      sum = next
    }
    expect([...(await b.download(sum))]).toEqual([3000])
  })

  it('takes more workgroups than one dimension has, and tables larger than a page', async () => {
    const rows = 300_000
    const x = b.upload([1, 2, 3], 3, 1)
    const ids = Int32Array.from({ length: rows }, (_, i) => i % 3)
    const wide = b.embedRows(ids, b.upload(values(3, 20).data.fill(5), 3, 20))
    expect((await b.download(wide)).every((v) => v === 5)).toBe(true)
    const got = await b.download(b.gatherRows(x, ids))
    expect(got.every((v, i) => v === 1 + (i % 3))).toBe(true)
  })

  it.each(['sequential', 'pieces'] as const)('scans 256 states, %s', async (scan) => {
    const backend = await openWebgpuBackend({ scan })
    const op = scanCase({ lengths: [3, 300], E: 3, N: 256, state: 'carried' })
    const wanted = await runForward(openReferenceBackend(), op)
    const got = await runForward(backend, op)
    const largest = Math.max(1, ...Array.from(wanted.y.data, Math.abs))
    expect(difference(got.y.data, wanted.y.data) / largest).toBeLessThan(1e-5)
    expect(difference(got.state.data, wanted.state.data) / largest).toBeLessThan(1e-5)
    await backend.close()
  })

  // One, two, four or eight threads share a column: of 100 and 300 not all of them have equally many states.
  it.each([16, 17, 40, 100, 128, 300])('takes keys of %i numbers', async (K) => {
    for (const shape of [
      { lengths: [3, 40], H: 4, G: 2, K, V: 9, state: true },
      { lengths: [7, 1, 21], H: 3, G: 1, K, V: 13, direction: 'reverse', views: true },
    ] as const) {
      const op = gatedDeltaCase({ ...shape, lengths: [...shape.lengths] })
      const wanted = await runForward(openReferenceBackend(), op)
      const got = await runForward(b, op)
      for (const [name, { data }] of Object.entries(wanted))
        expect(difference(got[name].data, data) / Math.max(1, ...Array.from(data, Math.abs)), name).toBeLessThan(1e-5)
    }
  })

  it('takes keys of 100 numbers wherever the rows are cut', async () => {
    const [T, H, K, V] = [43, 3, 100, 9]
    const [q, k, v] = [values(T, K), values(T, K, 0.1), values(T, H * V)].map((x) => b.upload(x.data, x.rows, x.cols))
    const [dt, beta] = [values(T, H), values(T, H)].map((x) => b.upload(x.data, x.rows, x.cols))
    const rates = { A_log: b.zeros(1, H), dtBias: b.zeros(1, H), groups: 1, direction: 'forward' } as const
    const upTo = async (cuts: number[]) => {
      const state = b.zeros(H * K, V)
      const rows: number[] = []
      for (const [i, to] of cuts.entries()) {
        const from = cuts[i - 1] ?? 0
        const [some, segments] = [(x: Tensor) => b.rows(x, from, to), oneSegment(to - from, from, to === T, 0)]
        const each = { q: some(q), k: some(k), v: some(v), dt: some(dt), beta: some(beta) }
        rows.push(...(await b.download(b.gatedDelta({ ...each, ...rates, segments }, state))))
      }
      return [...rows, ...(await b.download(state))]
    }
    expect(await upTo([1, 2, 20, T])).toEqual(await upTo([T]))
  })

  // Of 129 rows, as two pieces would give the bits of one. Other sequences have a single row: they count as channels at work.
  it.each([
    { rows: 129, sequences: 1, E: 4, form: 'pieces' },
    { rows: 129, sequences: 64, E: 1023, form: 'pieces' },
    { rows: 129, sequences: 64, E: 1024, form: 'sequential' },
  ] as const)('scans $rows rows, $sequences x $E channels: $form', async ({ rows, sequences, E, form }) => {
    const segments = segmentsOf([rows, ...new Array(sequences - 1).fill(1)])
    const T = rows + sequences - 1
    const [u, dt, BC, A_log] = [values(T, E), values(T, E), values(T, 1), values(E, 1, 0.1, -5)]
    const bits = async (scan: ScanForm) => {
      const backend = await openWebgpuBackend({ scan })
      const put = ({ data, rows, cols }: typeof u) => backend.upload(data, rows, cols)
      const B = put(BC)
      const y = backend.selectiveScan(
        {
          ...{ u: put(u), dt: put(dt), z: null, A_log: put(A_log), B, C: B, D: null, dtBias: null },
          ...{ softplus: true, segments, direction: 'forward' },
        },
        null,
      )
      const numbers = await backend.download(backend.rows(y, 0, rows))
      await backend.close()
      return numbers
    }
    const [picked, sequential, pieces] = [await bits('auto'), await bits('sequential'), await bits('pieces')]
    expect(pieces).not.toEqual(sequential)
    expect(picked).toEqual({ sequential, pieces }[form])
  })

  it.each(tiles.map((tile) => [tileName(tile), tile] as const))('multiplies in tiles of %s', async (_, tile) => {
    const backend = await openWebgpuBackend({ tile })
    for (const [T, I, O] of [
      [1, 1, 1],
      [131, 37, 133],
    ]) {
      const [x, weight, bias, residual] = [values(T, I), values(O, I), values(1, O), values(T, O)]
      const product = async (on: Backend) => {
        const put = ({ data, rows, cols }: typeof x) => on.upload(data, rows, cols)
        const fused = { bias: put(bias), residual: put(residual), activation: 'silu' } as const
        return on.download(await on.linear(put(x), put(weight), fused))
      }
      const wanted = await product(openReferenceBackend())
      expect(difference(await product(backend), wanted)).toBeLessThan(1e-5)
    }
    await backend.close()
  })

  it('says that the GPU was lost, and opens it again', async () => {
    const lost = await openWebgpuBackend()
    const x = lost.upload([1, 2], 1, 2)
    await lost.download(x)
    gpu!.device.destroy()
    await expect(lost.download(lost.activate(x, 'none'))).rejects.toMatchObject({
      message: expect.stringMatching(/^the GPU was lost: /),
      exitCode: exitCodes.unavailable,
    })
    b = await openWebgpuBackend()
    expect([...(await b.download(b.upload([3], 1, 1)))]).toEqual([3])
  })

  it('says what to do about a tensor that is too large for the GPU', () => {
    const error = (work: () => unknown) => {
      try {
        return work()
      } catch (thrown) {
        return thrown
      }
    }
    expect(error(() => b.zeros(2 ** 17, 2 ** 17))).toMatchObject({
      message: expect.stringMatching(/^this GPU takes tensors of up to \d+ MiB, and one has 65536 MiB: .*--chunk/),
      exitCode: exitCodes.unavailable,
    })
  })
})
