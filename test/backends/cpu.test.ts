import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { FloatArray, ScanArgs, Tensor } from '../../src/backends/backend.js'
import { type CpuBackend, openCpuBackend } from '../../src/backends/cpu/cpu.js'
import { Memory } from '../../src/backends/cpu/memory.js'
import type { Direction, Segments } from '../../src/backends/segments.js'
import { cutSegments, middlesOf, segmentsOf } from './segments.js'

let seed = 1
/** Uniform in (-1, 1), the same in every run. */
function random(): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return seed / 2 ** 31 - 1
}
const randoms = (count: number, scale = 1) => Float32Array.from({ length: count }, () => random() * scale)

const silu = (x: number) => x / (1 + Math.exp(-x))
const softplus = (x: number) => (x > 20 ? x : Math.log1p(Math.exp(x)))

/** Largest difference, relative to the largest number expected. */
function error(got: FloatArray, expected: ArrayLike<number>): number {
  expect(got.length).toBe(expected.length)
  let worst = 0
  let largest = 1e-30
  for (let i = 0; i < got.length; i++) {
    worst = Math.max(worst, Number.isFinite(got[i]) ? Math.abs(got[i] - expected[i]) : Infinity)
    largest = Math.max(largest, Math.abs(expected[i]))
  }
  return worst / largest
}

const bytes = (x: FloatArray) => Buffer.from(x.buffer, x.byteOffset, x.byteLength)
const sameBytes = (a: FloatArray, b: FloatArray) => bytes(a).equals(bytes(b))

describe('memory', () => {
  test('blocks never overlap, come back after release, and views follow the growth', () => {
    const memory = new Memory()
    const live = new Map<number, { words: number; mark: number }>()
    for (let i = 0; i < 3000; i++) {
      if (live.size > 40 || (live.size > 0 && random() < 0)) {
        const [at, { words, mark }] = [...live][Math.floor(((random() + 1) / 2) * live.size)]
        const block = memory.i32.subarray(at / 4, at / 4 + words)
        expect(block.every((x) => x === mark)).toBe(true)
        memory.release(at)
        live.delete(at)
      } else {
        const words = 1 + Math.floor(((random() + 1) / 2) ** 3 * 20000)
        const at = memory.allocate(words * 4)
        expect(at % 64).toBe(0)
        memory.i32.fill(i, at / 4, at / 4 + words)
        live.set(at, { words, mark: i })
      }
    }
    for (const at of live.keys()) memory.release(at)
    expect(memory.usedBytes).toBe(0)
    const size = memory.wasm.buffer.byteLength
    expect(size).toBeLessThan(8e6)
    // All free blocks have grown together again.
    memory.release(memory.allocate(size - 65536))
    expect(memory.wasm.buffer.byteLength).toBe(size)
  })

  test('releasing twice and asking for too much are errors that say so', () => {
    const memory = new Memory()
    const at = memory.allocate(1)
    memory.release(at)
    expect(() => memory.release(at)).toThrow('nothing is allocated')
    expect(() => memory.allocate(5e9)).toThrow(/5000 MB more asked for.*smaller --chunk/)
  })
})

interface ScanShape {
  T: number
  E: number
  N: number
  G?: number
  softplus?: boolean
  bare?: boolean
}

function scanInputs({ T, E, N, G = 1, softplus = true, bare = false }: ScanShape) {
  return {
    T,
    E,
    N,
    G,
    softplus,
    u: randoms(T * E),
    dt: softplus ? randoms(T * E, 3) : randoms(T * E).map(Math.abs),
    A_log: randoms(E * N, 2),
    B: randoms(T * G * N),
    C: randoms(T * G * N),
    D: bare ? null : randoms(E),
    z: bare ? null : randoms(T * E, 4),
    // Without softplus only positive steps make sense: negative ones let the state grow, and every error with it.
    dtBias: bare ? null : softplus ? randoms(E) : randoms(E).map(Math.abs),
  }
}
type ScanInputs = ReturnType<typeof scanInputs>

/** The plainest scan, in float64, over one segment; h [E, N] is read and written. */
function plainScan(x: ScanInputs, direction: Direction, h: Float64Array, from = 0, to = x.T): Float64Array {
  const { E, N, G } = x
  const y = new Float64Array((to - from) * E)
  for (let i = from; i < to; i++) {
    const t = direction === 'forward' ? i : from + to - 1 - i
    for (let e = 0; e < E; e++) {
      const raw = x.dt[t * E + e] + (x.dtBias?.[e] ?? 0)
      const dt = x.softplus ? softplus(raw) : raw
      const u = x.u[t * E + e]
      let sum = (x.D?.[e] ?? 0) * u
      for (let n = 0; n < N; n++) {
        const at = t * G * N + Math.floor((e * G) / E) * N + n
        h[e * N + n] = Math.exp(-dt * Math.exp(x.A_log[e * N + n])) * h[e * N + n] + dt * x.B[at] * u
        sum += x.C[at] * h[e * N + n]
      }
      y[(t - from) * E + e] = x.z ? sum * silu(x.z[t * E + e]) : sum
    }
  }
  return y
}

const kinds = [
  ['plain', 'own kernel'],
  ['relaxed', 'onnxruntime'],
] as const

describe.each(kinds)('%s kernels, products by %s', (kernels, matrixProducts) => {
  let cpu: CpuBackend
  beforeAll(async () => {
    cpu = await openCpuBackend({ kernels, matrixProducts })
  })
  afterAll(async () => {
    await cpu.close()
  })

  /** A tensor that is a view on the middle of a wider one. */
  const view = (data: ArrayLike<number>, rows: number, cols: number) => {
    const wide = randoms(rows * (cols + 7))
    for (let t = 0; t < rows; t++) for (let e = 0; e < cols; e++) wide[t * (cols + 7) + 3 + e] = data[t * cols + e]
    return cpu.columns(cpu.upload(wide, rows, cols + 7), 3, 3 + cols)
  }

  const scanArgs = (x: ScanInputs, direction: Direction, segments: Segments, from = 0, to = x.T): ScanArgs => {
    const part = (data: Float32Array, cols: number) => view(data.subarray(from * cols, to * cols), to - from, cols)
    const row = (data: Float32Array | null) => data && cpu.upload(data, 1, x.E)
    return {
      u: part(x.u, x.E),
      dt: part(x.dt, x.E),
      A_log: cpu.upload(x.A_log, x.E, x.N),
      B: part(x.B, x.G * x.N),
      C: part(x.C, x.G * x.N),
      D: row(x.D),
      z: x.z && part(x.z, x.E),
      dtBias: row(x.dtBias),
      softplus: x.softplus,
      segments,
      direction,
    }
  }

  const shapes: ScanShape[] = [
    { T: 19, E: 8, N: 16 },
    { T: 19, E: 7, N: 16, bare: true },
    { T: 23, E: 12, N: 8, G: 3 },
    { T: 9, E: 6, N: 8, softplus: false },
    { T: 11, E: 5, N: 20 },
    { T: 11, E: 6, N: 3, G: 2 },
    { T: 8, E: 3, N: 1, softplus: false, bare: true },
  ]
  test.each(shapes)('scan $T x $E x $N against float64', async (shape) => {
    for (const direction of ['forward', 'reverse'] as const) {
      const x = scanInputs(shape)
      const start = randoms(x.E * x.N)
      const state = cpu.upload(start, x.E, x.N)
      const segments = middlesOf([x.T])
      const y = cpu.selectiveScan(scanArgs(x, direction, segments), state)
      const h = Float64Array.from(start)
      const expected = plainScan(x, direction, h)
      expect(error(await cpu.download(y), expected)).toBeLessThan(2e-6)
      expect(error(await cpu.download(state), h)).toBeLessThan(2e-6)
      const base = randoms(x.T * x.E)
      const sum = cpu.upload(base, x.T, x.E)
      expect(cpu.selectiveScan(scanArgs(x, direction, segmentsOf([x.T])), null, sum)).toBe(sum)
      const fromZero = plainScan(x, direction, new Float64Array(x.E * x.N))
      expect(
        error(
          await cpu.download(sum),
          fromZero.map((v, i) => v + base[i]),
        ),
      ).toBeLessThan(2e-6)
    }
  })

  test.each(['forward', 'reverse'] as const)('%s: any cut of scan and conv gives the same bytes', async (direction) => {
    for (const [N, E, K] of [
      [16, 8, 4],
      [8, 5, 3],
      [5, 6, 4],
    ]) {
      const x = scanInputs({ T: 60, E, N })
      const lengths = [13, 1, 2, 31, 4, 9]
      const starts = lengths.map((_, s) => lengths.slice(0, s).reduce((a, b) => a + b, 0))
      const weight = cpu.upload(randoms(K * E), K, E)
      const bias = cpu.upload(randoms(E), 1, E)
      const run = async (cuts: number[]) => {
        const state = cpu.upload(randoms(6 * E * N), 6 * E, N)
        const convState = cpu.upload(randoms(6 * K * E), 6 * K, E)
        const borders = [0, ...cuts, 60]
        const order = cuts.map((_, i) => i).concat(cuts.length)
        if (direction === 'reverse') order.reverse()
        const outputs = new Float32Array(2 * 60 * E)
        for (const i of order) {
          const [from, to] = [borders[i], borders[i + 1]]
          const segments = cutSegments(lengths, from, to)
          const args = scanArgs(x, direction, segments, from, to)
          outputs.set(await cpu.download(cpu.selectiveScan(args, state)), from * E)
          const conv = cpu.causalConv(args.u, weight, bias, {
            segments,
            direction,
            activation: 'silu',
            state: convState,
          })
          outputs.set(await cpu.download(conv), (60 + from) * E)
        }
        return [outputs, (await cpu.download(state)) as Float32Array, (await cpu.download(convState)) as Float32Array]
      }
      const uncut = await run([])
      const cutLists = [Array.from({ length: 59 }, (_, i) => i + 1)]
      for (let i = 0; i < 6; i++)
        cutLists.push(Array.from({ length: 59 }, (_, t) => t + 1).filter(() => random() > 0.7))
      for (const cuts of cutLists) {
        const cut = await run(cuts)
        for (const i of [0, 1, 2]) expect(sameBytes(cut[i], uncut[i]), `${cuts}`).toBe(true)
      }
      const scanned = lengths.flatMap((length, s) => [
        ...plainScan(x, direction, new Float64Array(E * N), starts[s], starts[s] + length),
      ])
      expect(error(uncut[0].subarray(0, 60 * E), scanned)).toBeLessThan(2e-6)
    }
  })

  test('conv against a plain loop, both directions, K = 2 to 5', async () => {
    for (const [K, E, direction] of [
      [4, 8, 'forward'],
      [4, 7, 'reverse'],
      [2, 5, 'forward'],
      [5, 9, 'reverse'],
    ] as const) {
      const [x, w, b, before] = [randoms(10 * E), randoms(K * E), randoms(E), randoms(K * E)]
      const state = cpu.upload(before, K, E)
      const segments = middlesOf([10])
      const y = cpu.causalConv(view(x, 10, E), cpu.upload(w, K, E), cpu.upload(b, 1, E), {
        segments,
        direction,
        activation: 'none',
        state,
      })
      const row = (i: number) => (direction === 'forward' ? i : 9 - i)
      const input = (i: number, e: number) => (i < 0 ? before[(K + i) * E + e] : x[row(i) * E + e])
      const expected = new Float64Array(10 * E)
      for (let i = 0; i < 10; i++) {
        for (let e = 0; e < E; e++) {
          let sum = b[e]
          for (let k = 0; k < K; k++) sum += w[k * E + e] * input(i - K + 1 + k, e)
          expected[row(i) * E + e] = sum
        }
      }
      expect(error(await cpu.download(y), expected)).toBeLessThan(1e-6)
      const last = Float32Array.from({ length: K * E }, (_, i) => input(10 - K + Math.floor(i / E), i % E))
      expect(await cpu.download(state)).toEqual(last)
    }
  })

  test('a product that runs in parts gives every row the bytes of a product of few rows', async () => {
    const [T, I, O] = [1031, 24, 1536] // 4 parts with 257 or 258 rows
    const [x, residual] = [randoms(T * I), randoms(T * O)]
    const weight = cpu.upload(randoms(O * I), O, I)
    const run = async (from: number, to: number) => {
      const rows = cpu.upload(x.subarray(from * I, to * I), to - from, I)
      const add = cpu.upload(residual.subarray(from * O, to * O), to - from, O)
      const y = await cpu.linear(rows, weight, { residual: add })
      const out = await cpu.download(y)
      cpu.release(rows, add, y)
      return out
    }
    const whole = await run(0, T)
    for (let from = 0; from < T; from += 100) {
      const to = Math.min(T, from + 100)
      expect(sameBytes(await run(from, to), whole.subarray(from * O, to * O)), `rows from ${from}`).toBe(true)
    }
    cpu.release(weight)
  })

  test('a row of a product has the same bytes in any number of rows', async () => {
    const shapes = [
      [128, 512],
      [256, 40],
      [16, 512],
      [4, 9],
      [33, 17],
      [130, 259],
      [513, 131],
      [128, 1],
      [300, 2],
      [1, 8],
    ]
    for (const [I, O] of shapes) {
      const T = 131
      const x = randoms(T * I)
      const [weight, bias] = [cpu.upload(randoms(O * I), O, I), cpu.upload(randoms(O), 1, O)]
      const residual = randoms(T * O)
      const run = async (from: number, to: number, kind: 'bias' | 'residual' | 'all') => {
        const rows = cpu.upload(x.subarray(from * I, to * I), to - from, I)
        const add = cpu.upload(residual.subarray(from * O, to * O), to - from, O)
        const y = await cpu.linear(rows, weight, {
          bias: kind === 'residual' ? null : bias,
          residual: kind === 'bias' ? null : add,
          activation: kind === 'all' ? 'silu' : 'none',
        })
        const out = await cpu.download(y)
        cpu.release(rows, add, y)
        return out
      }
      for (const kind of ['bias', 'residual', 'all'] as const) {
        const full = await run(0, T, kind)
        for (let rows = 1; rows < T; rows += rows < 20 ? 1 : 13) {
          for (const from of [0, T - rows, (T - rows) >> 1]) {
            const part = await run(from, from + rows, kind)
            expect(sameBytes(part, full.subarray(from * O, (from + rows) * O)), `${rows} x ${I} x ${O} ${kind}`).toBe(
              true,
            )
          }
        }
      }
      cpu.release(weight, bias)
    }
  })

  test('linear against float64, strided and contiguous', async () => {
    for (const [T, I, O] of [
      [9, 5, 7],
      [1, 40, 6],
      [6, 40, 33],
      [5, 64, 1],
    ]) {
      const [x, w, b, r] = [randoms(T * I), randoms(O * I), randoms(O), randoms(T * O)]
      const expected = new Float64Array(T * O)
      for (let t = 0; t < T; t++) {
        for (let o = 0; o < O; o++) {
          let sum = b[o]
          for (let i = 0; i < I; i++) sum += x[t * I + i] * w[o * I + i]
          expected[t * O + o] = silu(sum) + r[t * O + o]
        }
      }
      const options = { bias: cpu.upload(b, 1, O), residual: view(r, T, O), activation: 'silu' as const }
      for (const input of [cpu.upload(x, T, I), view(x, T, I)]) {
        const y = await cpu.linear(input, view(w, O, I), options)
        expect([y.rows, y.cols]).toEqual([T, O])
        expect(error(await cpu.download(y), expected)).toBeLessThan(1e-6)
      }
    }
  })

  test('products with either side transposed, with an addend', async () => {
    const { products } = cpu
    for (const [M, K, N] of [
      [5, 40, 6],
      [1, 36, 9],
      [7, 8, 3],
      [4, 50, 1],
    ]) {
      const [a, b, c] = [randoms(M * K), randoms(K * N), randoms(M * N)]
      const turned = (x: Float32Array, rows: number, cols: number) =>
        x.map((_, i) => x[(i % rows) * cols + Math.floor(i / rows)])
      const expected = Float64Array.from(c, (v, i) => {
        for (let k = 0; k < K; k++) v += a[Math.floor(i / N) * K + k] * b[k * N + (i % N)]
        return v
      })
      for (const transA of [false, true]) {
        for (const transB of [false, true]) {
          const y = await products.multiply({
            a: transA ? (view(turned(a, M, K), K, M) as never) : (view(a, M, K) as never),
            b: transB ? (view(turned(b, K, N), N, K) as never) : (view(b, K, N) as never),
            transA,
            transB,
            addend: view(c, M, N) as never,
          })
          expect(error(await cpu.download(y), expected), `${M} ${K} ${N} ${transA} ${transB}`).toBeLessThan(1e-6)
        }
      }
    }
  })

  test('norms against float64', async () => {
    for (const kind of ['rms', 'layer'] as const) {
      for (const D of [1, 6, 8, 37]) {
        const [x, w, b] = [randoms(3 * D, 5), randoms(D), randoms(D)]
        const y = cpu.norm(
          view(x, 3, D),
          { kind, eps: 1e-5 },
          cpu.upload(w, 1, D),
          kind === 'layer' ? cpu.upload(b, 1, D) : null,
        )
        const expected = Float64Array.from(x, (v, i) => {
          const row = x.subarray(Math.floor(i / D) * D, (Math.floor(i / D) + 1) * D)
          const mean = kind === 'layer' ? row.reduce((s, u) => s + u, 0) / D : 0
          const variance = row.reduce((s, u) => s + (u - mean) ** 2, 0) / D
          return ((v - mean) / Math.sqrt(variance + 1e-5)) * w[i % D] + (kind === 'layer' ? b[i % D] : 0)
        })
        expect(error(await cpu.download(y), expected)).toBeLessThan(2e-6)
      }
    }
  })

  test('elementwise operations, also far from zero', async () => {
    const a = randoms(3 * 7, 3)
    const b = Float32Array.from({ length: 3 * 7 }, (_, i) => (i - 10) * 9)
    const [A, B] = [view(a, 3, 7), view(b, 3, 7)]
    const check = async (y: Tensor, f: (a: number, b: number) => number) =>
      expect(
        error(
          await cpu.download(y),
          a.map((v, i) => f(v, b[i])),
        ),
      ).toBeLessThan(1e-6)
    await check(cpu.combine(A, B, 'add'), (x, y) => x + y)
    await check(cpu.combine(A, B, 'multiply'), (x, y) => x * y)
    await check(cpu.combine(A, B, 'gate'), (x, y) => x * silu(y))
    await check(cpu.activate(B, 'silu'), (_, y) => silu(y))
    await check(cpu.activate(B, 'none'), (_, y) => y)
  })

  test('gathering rows; an index outside is an error', async () => {
    const x = randoms(4 * 5)
    const y = await cpu.download(cpu.gatherRows(view(x, 4, 5), Int32Array.of(3, 0, 3)))
    expect(y).toEqual(Float32Array.of(...x.subarray(15), ...x.subarray(0, 5), ...x.subarray(15)))
    expect(() => cpu.embedRows(Int32Array.of(0, 4), cpu.upload(x, 4, 5))).toThrow('row 4 of 4')
    expect(() => cpu.embedRows(Int32Array.of(-1), cpu.upload(x, 4, 5))).toThrow('row -1 of 4')
  })

  test('windows of a strided convolution, cut and uncut', async () => {
    const [D, window, stride] = [3, 5, 2]
    const x = randoms(11 * D)
    const expected: number[] = []
    const lengths = [4, 7]
    lengths.forEach((L, s) => {
      const first = s * 4
      for (let j = 0; j < Math.ceil(L / stride); j++) {
        for (let w = 0; w < window; w++) {
          const i = (j + 1) * stride - window + w
          for (let d = 0; d < D; d++) expected.push(i < 0 || i >= L ? 0 : x[(first + i) * D + d])
        }
      }
    })
    const all = cpu.unfold(view(x, 11, D), window, stride, segmentsOf(lengths), null)
    expect([...(await cpu.download(all))]).toEqual(expected)
    const state = cpu.upload(randoms(2 * window * D), 2 * window, D)
    const parts: number[] = []
    for (const [from, to] of [
      [0, 2],
      [2, 6],
      [6, 11],
    ]) {
      const rows = view(x.subarray(from * D, to * D), to - from, D)
      parts.push(...(await cpu.download(cpu.unfold(rows, window, stride, cutSegments(lengths, from, to), state))))
    }
    expect(parts).toEqual(expected)
    expect((await cpu.download(state)).slice(window * D)).toEqual(x.slice(6 * D))
  })

  test('views share memory, releasing gives it all back', async () => {
    const before = cpu.machine.memory.usedBytes
    const x = cpu.upload([1, 2, 3, 4, 5, 6], 2, 3)
    expect([...(await cpu.download(cpu.columns(x, 1, 3)))]).toEqual([2, 3, 5, 6])
    expect([...(await cpu.download(cpu.columns(cpu.reshape(x, 3, 2), 1, 2)))]).toEqual([2, 4, 6])
    expect([...(await cpu.download(cpu.zeros(1, 2)))]).toEqual([0, 0])
    expect(() => cpu.reshape(cpu.columns(x, 0, 2), 1, 4)).toThrow('contiguous')
    await expect(cpu.linear(x, x, { bias: x })).rejects.toThrow('bias is [2, 3], expected [1, 2]')
    const y = await cpu.linear(x, x)
    cpu.release(y, x, x, null, cpu.columns(x, 0, 1))
    expect(cpu.machine.memory.usedBytes).toBe(before + 64)
  })
})

test('plain and relaxed kernels agree to a few last bits; the default takes relaxed and ONNX Runtime', async () => {
  const x = scanInputs({ T: 40, E: 16, N: 16 })
  const results = []
  for (const kernels of ['plain', 'relaxed', undefined] as const) {
    const cpu = await openCpuBackend({ kernels })
    const y = cpu.selectiveScan(
      {
        u: cpu.upload(x.u, 40, 16),
        dt: cpu.upload(x.dt, 40, 16),
        A_log: cpu.upload(x.A_log, 16, 16),
        B: cpu.upload(x.B, 40, 16),
        C: cpu.upload(x.C, 40, 16),
        D: null,
        z: null,
        dtBias: null,
        softplus: true,
        segments: segmentsOf([40]),
        direction: 'forward',
      },
      null,
    )
    results.push(await cpu.download(y))
    expect(cpu.kernels).toBe(kernels ?? 'relaxed')
    expect(cpu.matrixProducts).toBe('onnxruntime')
    await cpu.close()
  }
  expect(error(results[0], results[1])).toBeLessThan(1e-6)
  expect(sameBytes(results[1], results[2])).toBe(true)
})

test('addresses above 2 GiB work', async () => {
  const cpu = await openCpuBackend()
  const { memory } = cpu.machine
  memory.allocate(2 ** 31 + 2 ** 20)
  const x = cpu.upload(randoms(3 * 40), 3, 40)
  const w = cpu.upload(randoms(5 * 40), 5, 40)
  const low = await openCpuBackend()
  const lowX = low.upload(await cpu.download(x), 3, 40)
  const lowW = low.upload(await cpu.download(w), 5, 40)
  for (const run of [
    (b: CpuBackend, x: Tensor, w: Tensor) => b.linear(x, w),
    async (b: CpuBackend, x: Tensor) =>
      b.causalConv(x, b.upload(new Float32Array(160).fill(0.5), 4, 40), null, {
        segments: segmentsOf([3]),
        direction: 'reverse',
        activation: 'silu',
        state: b.zeros(4, 40),
      }),
    async (b: CpuBackend, x: Tensor) =>
      b.selectiveScan(
        {
          u: b.columns(x, 0, 8),
          dt: b.columns(x, 8, 16),
          A_log: b.zeros(8, 8),
          B: b.columns(x, 16, 24),
          C: b.columns(x, 24, 32),
          D: null,
          z: b.columns(x, 32, 40),
          dtBias: null,
          softplus: true,
          segments: segmentsOf([3]),
          direction: 'reverse',
        },
        b.zeros(8, 8),
      ),
  ]) {
    expect(sameBytes(await cpu.download(await run(cpu, x, w)), await low.download(await run(low, lowX, lowW)))).toBe(
      true,
    )
  }
})

describe('zeros that are not written yet', () => {
  let cpu: CpuBackend
  beforeAll(async () => {
    cpu = await openCpuBackend()
  })
  afterAll(() => cpu.close())

  /** Zeros in memory that held something else. */
  const zeros = (rows: number, cols: number) => {
    cpu.release(cpu.upload(new Float32Array(rows * cols).fill(7), rows, cols))
    return cpu.zeros(rows, cols)
  }

  test('are there for who reads', async () => {
    expect([...(await cpu.download(zeros(3, 5)))]).toEqual(Array(15).fill(0))
  })

  test('are there in every column that a view has not written', async () => {
    const x = zeros(2, 7)
    const d = cpu.upload([1, 2, 3, 4], 2, 2)
    cpu.gradients.combine(d, d, d, 'add', { da: cpu.columns(x, 3, 5), db: null })
    expect([...(await cpu.download(cpu.columns(x, 2, 4)))]).toEqual([0, 1, 0, 3])
    // What was written is added to from then on; 4 .. 5 is half written.
    cpu.gradients.combine(d, d, d, 'add', { da: cpu.columns(x, 4, 6), db: cpu.columns(x, 0, 2) })
    expect([...(await cpu.download(x))]).toEqual([1, 2, 0, 1, 3, 2, 0, 3, 4, 0, 3, 7, 4, 0])
  })

  test('are gone where a product is written, and stay where it is added', async () => {
    const [dy, x, weight] = [
      cpu.upload([1, 2, 3, 4], 2, 2),
      cpu.upload([1, 1, 1, 1], 2, 2),
      cpu.upload([1, 0, 0, 1], 2, 2),
    ]
    const [dx, dWeight] = [zeros(2, 2), zeros(2, 2)]
    await cpu.gradients.linear(dy, x, weight, { dx, dWeight, dBias: null })
    expect([...(await cpu.download(dx))]).toEqual([1, 2, 3, 4])
    await cpu.gradients.linear(dy, x, weight, { dx, dWeight, dBias: null })
    expect([...(await cpu.download(dx))]).toEqual([2, 4, 6, 8])
    expect([...(await cpu.download(dWeight))]).toEqual([8, 8, 12, 12])
  })
})

test.each([
  [1, 4],
  [31, 16],
  [32, 16],
  [33, 16],
  [130, 5],
])('the gradient of a scan of %i rows is the same from states that were kept, N %i', async (T, N) => {
  const cpu = await openCpuBackend()
  const E = 12
  const up = (rows: number, cols: number) => cpu.upload(randoms(rows * cols), rows, cols)
  const per = { u: up(T, E), dt: up(T, E), B: up(T, N), C: up(T, N), z: up(T, E) }
  const args: ScanArgs = {
    ...per,
    ...{
      A_log: up(E, N),
      D: up(1, E),
      dtBias: up(1, E),
      softplus: true,
      segments: segmentsOf([T]),
      direction: 'reverse',
    },
  }
  const dy = up(T, E)
  const gradients = async (kept: Tensor | null) => {
    if (kept) cpu.release(cpu.selectiveScan({ ...args, kept }, null))
    const [du, ddt, dB, dC, dz] = Object.values(per).map((x) => cpu.zeros(x.rows, x.cols))
    const into = { du, ddt, dB, dC, dz, dA_log: cpu.zeros(E, N), dD: cpu.zeros(1, E), ddtBias: cpu.zeros(1, E) }
    cpu.gradients.selectiveScan(dy, { ...args, kept }, into, null)
    return Promise.all(Object.values(into).map((x) => cpu.download(x)))
  }
  const [kept, again] = [await gradients(cpu.gradients.keptStates(args)), await gradients(null)]
  kept.forEach((x, i) => {
    expect(sameBytes(x, again[i])).toBe(true)
  })
  await cpu.close()
})
