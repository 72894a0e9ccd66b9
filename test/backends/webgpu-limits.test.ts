import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Backend, Tensor } from '../../src/backends/backend.js'
import { openReferenceBackend } from '../../src/backends/reference/index.js'
import { oneSegment, type Segments } from '../../src/backends/segments.js'
import { openWebgpuBackend, type WebgpuBackend, webgpuBackend } from '../../src/backends/webgpu/webgpu.js'
import { newWeight, weightOf, widened } from '../../src/backends/weight.js'
import { planOf } from '../../src/engine/plan.js'
import { Session } from '../../src/engine/session.js'
import { exitCodes } from '../../src/errors.js'
import type { ModelSpec } from '../../src/spec.js'
import { network, randomIds, seeded, tinySpec } from '../engine/models.js'
import { gpu } from './has-gpu.js'
import { operations, resultGradients, runBackward, runForward, values } from './operations.js'
import { PaperMachine } from './paper-gpu.js'

const thrownBy = (work: () => unknown) => {
  try {
    return work()
  } catch (error) {
    return error
  }
}

/** On a GPU that is taken for one of small tensors. */
describe.skipIf(!gpu)('webgpu with small tensors', () => {
  const tensorBytes = 2048
  let [whole, small] = [] as unknown as [Backend, Backend]
  beforeAll(async () => {
    whole = await openWebgpuBackend({ scan: 'sequential' })
    small = await openWebgpuBackend({ scan: 'sequential', tensorBytes })
  })
  afterAll(async () => {
    await small.close()
    await whole.close()
  })

  it('multiplies by a weight that lies in several', async () => {
    const [T, I, O] = [3, 40, 130]
    const [x, w, bias, residual] = [values(T, I), values(O, I), values(1, O), values(T, O)]
    expect(4 * w.data.length).toBeGreaterThan(5 * tensorBytes)
    const product = async (b: Backend) => {
      const put = ({ data, rows, cols }: typeof x) => b.upload(data, rows, cols)
      const weight = b.weight(weightOf(O, I, w.data), 'w')
      const y = await b.linear(put(x), weight, { bias: put(bias), residual: put(residual), activation: 'silu' })
      b.release(weight)
      return b.download(y)
    }
    expect(await product(small)).toEqual(await product(whole))
  })

  it.each(['f32', 'f16', 'bf16'] as const)('looks rows up in one of %s that lies in several', async (dtype) => {
    const table = newWeight(dtype, 300, 15)
    for (let i = 0; i < table.data.length; i++) table.data[i] = i // of halves the bits
    const ids = Int32Array.of(299, 0, 33, 34, 35, 299, 150, 67, 68)
    const look = async (b: Backend) => b.download(b.embedRows(ids, b.weight(table, 'table')))
    const wanted = [...ids].flatMap((id) => [...widened(table).subarray(15 * id, 15 * id + 15)])
    expect([...(await look(small))]).toEqual(wanted)
    expect([...(await look(whole))]).toEqual(wanted)
  })

  it('names a weight whose rows are too large', () => {
    expect(thrownBy(() => small.weight(weightOf(2, 513, new Float32Array(1026)), 'head.weight'))).toMatchObject({
      message:
        'a row of the weight head.weight takes 2052 bytes, and a tensor on this GPU 2048 at the most: use the device cpu',
      exitCode: exitCodes.unavailable,
    })
  })

  const both = { complement: [3, 2, 1, 0, 4], fused: false }
  it.each<[string, ModelSpec]>([
    ['streams', tinySpec('mamba', true)],
    ['sweeps', tinySpec('add')],
    ['reads both strands', { ...tinySpec('add'), head: { kind: 'tokens', tied: true }, reverse_complement: both }],
  ])('%s what is longer than a tensor takes, with the same result', async (_, spec) => {
    const facts = { ...gpu!.facts, tensorBytes, matrices: [] }
    const plan = planOf(spec, { device: 'webgpu', gpu: facts, threads: 1, weights: new Map() })
    const ids = randomIds(250, seeded(5))
    expect(plan.chunk).toBeLessThan(ids.length / 3)
    const run = async (b: Backend, chunk: number) => {
      const net = network(b, spec)
      const outputs = [{ head: true, pool: 'mean' } as const, { layer: 1 }]
      const session = new Session(net, { chunk, deviceSpoolBytes: plan.deviceSpoolBytes, outputs })
      const slot = net.causal ? 0 : -1
      const { reads } = await session.push({ input: ids, segments: oneSegment(ids.length, 0, true, slot) })
      session.close()
      return reads
    }
    expect(await run(small, plan.chunk)).toEqual(await run(whole, 600))
  })
})

/** Bytes of which an operation takes half, as much as one piece of rows takes, and two do not. */
describe.skipIf(!gpu)('webgpu takes gradients piece by piece, with the same result:', () => {
  const cases: [name: string, kibibytes: number, tolerance: number][] = [
    ['scan forward rows 3+259 E 137 N 4 G 1 softplus D z dtBias', 360, 0],
    ['ssd reverse rows 3+145 H 2 P 9 N 70 G 2 views', 800, 0],
    ['s4d zoh reverse rows 7+1+33 H 5 M 17 views', 128, 0],
    ['gatedDelta forward rows 3+131 H 3 G 3 K 6 V 13 views', 128, 0],
    // The rows whose scores are looked at together are added up together.
    ['attention rows 65+5 heads 3/1 width 64 window 23 views', 114, 1e-5],
  ]
  it.each(cases)('%s', async (name, kibibytes, tolerance) => {
    const op = operations().find((op) => op.name === name)!
    const dy = resultGradients(await runForward(openReferenceBackend(), op))
    const gradients = async (tensorBytes?: number) => {
      const b = await openWebgpuBackend({ scan: 'sequential', tensorBytes })
      const found = await runBackward(b, op, dy)
      await b.close()
      return found
    }
    const [cut, whole] = [await gradients(1024 * kibibytes), await gradients()]
    for (const [input, { data }] of Object.entries(whole))
      expect(Math.max(...data.map((one, i) => Math.abs(one - cut[input].data[i]))), input).toBeLessThanOrEqual(
        tolerance,
      )
  })
})

/** Bytes too few for a piece of rows in all channels. */
describe.skipIf(!gpu)('webgpu takes some channels at a time, with the same result:', () => {
  const cases: [name: string, kibibytes: number][] = [
    ['scan forward rows 3+259 E 137 N 4 G 1 softplus D z dtBias', 150],
    ['scan reverse rows 2+65 E 12 N 20 G 3 softplus D z dtBias', 36], // within a group
    ['scan reverse rows 2+65 E 12 N 20 G 3 softplus D z dtBias', 44], // group by group
    ['ssd reverse rows 3+145 H 2 P 9 N 70 G 2 views', 200],
    ['s4d zoh reverse rows 7+1+33 H 5 M 17 views', 32],
    ['s5 reverse rows 7+1+33 P 8', 3],
    ['gatedDelta forward rows 3+131 H 3 G 3 K 6 V 13 views', 48],
    ['gatedDelta reverse rows 7+1+19 H 4 G 2 K 3 V 5 views', 16],
    ['trapezoid rows 3+145 H 2 P 9 N 70 rate 0.0001 views', 200],
    ['trapezoid rows 131 H 3 P 16 N 32 rate 0.0001 state', 100],
  ]
  it.each(cases)('%s, of %i KiB', async (name, kibibytes) => {
    const op = operations().find((op) => op.name.startsWith(name))!
    const dy = resultGradients(await runForward(openReferenceBackend(), op))
    const run = async (tensorBytes?: number) => {
      const b = await openWebgpuBackend({ scan: 'sequential', tensorBytes })
      const forward = await runForward(b, op)
      const gradients = op.backward ? await runBackward(b, op, dy) : {}
      await b.close()
      return { forward, gradients }
    }
    const [cut, whole] = [await run(1024 * kibibytes), await run()]
    expect(cut.forward).toEqual(whole.forward)
    // What channels share is added up range by range.
    for (const [input, { data }] of Object.entries(whole.gradients)) {
      const largest = Math.max(1, ...data.map(Math.abs))
      const worst = Math.max(...data.map((one, i) => Math.abs(one - cut.gradients[input].data[i])))
      expect(worst / largest, input).toBeLessThan(1e-6)
    }
  })
})

/** On paper, with as many rows as inputs and results in half a tensor have. */
describe('no operation makes a buffer of more than half a tensor for itself:', () => {
  const tensorBytes = 128 * 2 ** 20
  const machine = () => new PaperMachine(tensorBytes)
  type Work = (b: WebgpuBackend, make: (rows: number, cols: number) => Tensor, segments: Segments, T: number) => void
  const forward = 'forward' as const

  /** Mamba-1 and its relatives. */
  const scan =
    (E: number, N: number): Work =>
    (b, make, segments, T) => {
      const [u, dt, z, dy] = [make(T, E), make(T, E), make(T, E), make(T, E)]
      const [A_log, B, C] = [make(E, N), make(T, N), make(T, N)]
      const args = { u, dt, A_log, B, C, D: make(1, E), z, dtBias: make(1, E), softplus: true, segments }
      b.release(b.selectiveScan({ ...args, direction: forward }, make(E, N)))
      const into = { du: u, ddt: dt, dA_log: A_log, dB: B, dC: C, dD: null, dz: z, ddtBias: null }
      b.gradients!.selectiveScan(dy, { ...args, direction: forward }, into, null)
    }
  const ssd =
    (H: number, P: number, N: number, groups: number): Work =>
    (b, make, segments, T) => {
      const [x, dt, dy] = [make(T, H * P), make(T, H), make(T, H * P)]
      const [B, C, A_log] = [make(T, groups * N), make(T, groups * N), make(1, H)]
      const rates = { A_log, D: make(1, H), dtBias: make(1, H), dtLimit: [0, Number.POSITIVE_INFINITY] as const }
      const args = { x, dt, B, C, groups, ...rates, segments, direction: forward }
      b.release(b.ssd(args, make(H * P, N)))
      b.gradients!.ssd(dy, args, { dx: x, ddt: dt, dA_log: A_log, dB: B, dC: C, dD: null, ddtBias: null })
    }
  const trapezoid =
    (H: number, P: number, N: number): Work =>
    (b, make, segments, T) => {
      const [v, k, q, dy] = [make(T, H * P), make(T, H * N), make(T, H * N), make(T, H * P)]
      const [dt, A, trap] = [make(T, H), make(T, H), make(T, H)]
      const args = { v, k, q, dt, A, trap, D: make(1, H), dtBias: make(1, H), leastRate: 1e-4, segments }
      b.release(b.trapezoid(args, { ssm: make(H * P, N), k: make(H, N), v: make(H, P) }))
      const into = { dv: v, dk: k, dq: q, ddt: dt, dA: A, dtrap: trap, dD: null, ddtBias: null }
      b.gradients!.trapezoid(dy, args, into)
    }
  const gatedDelta =
    (H: number, groups: number, K: number, V: number): Work =>
    (b, make, segments, T) => {
      const [q, k, v, dy] = [make(T, groups * K), make(T, groups * K), make(T, H * V), make(T, H * V)]
      const [dt, beta, A_log, dtBias] = [make(T, H), make(T, H), make(1, H), make(1, H)]
      const args = { q, k, v, dt, beta, A_log, dtBias, groups, segments, direction: forward }
      b.release(b.gatedDelta(args, make(H * K, V)))
      const into = { dq: q, dk: k, dv: v, ddt: dt, dbeta: beta, dA_log: A_log, ddtBias: null }
      b.gradients!.gatedDelta(dy, args, into)
    }
  const s4d =
    (H: number, M: number): Work =>
    (b, make, segments, T) => {
      const [u, dy, log_dt, log_A_real, A_imag] = [make(T, H), make(T, H), make(1, H), make(H, M), make(H, M)]
      const args = { u, log_dt, log_A_real, A_imag, C: make(H, 2 * M), D: make(1, H), discretisation: 'zoh' as const }
      b.release(b.s4d({ ...args, segments, direction: forward }, make(H, 2 * M)))
      const into = { du: u, dlog_dt: log_dt, dlog_A_real: log_A_real, dA_imag: A_imag, dC: null, dD: null }
      b.gradients!.s4d(dy, { ...args, segments, direction: forward }, into)
    }
  const s5 =
    (P: number): Work =>
    (b, make, segments, T) => {
      const [u, dy, Lambda, log_step] = [make(T, 2 * P), make(T, 2 * P), make(P, 2), make(1, P)]
      const args = { u, Lambda, log_step, segments, direction: forward }
      b.release(b.s5(args, make(P, 2)))
      b.gradients!.s5(dy, args, { du: u, dLambda: Lambda, dlog_step: log_step })
    }
  const attention =
    (heads: number, groups: number, width: number): Work =>
    (b, make, segments, T) => {
      const [q, k, v, dy] = [
        make(T, heads * width),
        make(T, groups * width),
        make(T, groups * width),
        make(T, heads * width),
      ]
      const args = { q, k, v, heads, width, scale: 0.1, window: Number.POSITIVE_INFINITY, segments }
      b.release(b.attention(args, null))
      b.gradients!.attention(dy, args, { dq: q, dk: k, dv: v })
    }
  const turns =
    (H: number, pairs: number): Work =>
    (b, make, segments, T) => {
      const [angles, dt, dtBias, dy] = [make(T, pairs), make(T, H), make(1, H), make(T, 2 * H * pairs)]
      const args = { angles, pairs, dt, dtBias, segments }
      b.release(b.turns(args, make(H, pairs)))
      b.gradients!.turns(dy, args, { dangles: angles, ddt: dt, ddtBias: dtBias })
    }

  it.each<[string, number, Work]>([
    ['Falcon-Mamba 7B', 8192, scan(8192, 16)],
    ['Mamba-2 2.7B', 5120, ssd(80, 64, 128, 1)],
    ['Codestral Mamba 7B', 8192, ssd(128, 64, 128, 8)],
    ['SSD of 256 states', 10240, ssd(160, 64, 256, 2)],
    ['Mamba-3 of width 2,048', 8192, trapezoid(64, 64, 128)],
    ['its turns', 4096, turns(64, 32)],
    ['Qwen3-Next 80B', 4096, gatedDelta(32, 16, 128, 128)],
    ['S4D of width 1,024', 1024, s4d(1024, 32)],
    ['S5 of 1,024 modes', 2048, s5(1024)],
    ['attention of Jamba', 4096, attention(32, 8, 128)],
  ])('%s', (_, widest, work) => {
    const paper = machine()
    const b = webgpuBackend(paper)
    const T = 256 * Math.floor(tensorBytes / 2 / 4 / widest / 256)
    work(b, (rows, cols) => paper.allocate(rows, cols), oneSegment(T, 0, true, 0), T)
    expect(paper.asked.largest).toBeLessThanOrEqual(tensorBytes / 2)
    expect(paper.asked.largest).toBeGreaterThan(tensorBytes / 4)
  })
})

it('eight threads share each column of the values of Qwen3-Next', () => {
  const [T, H, G, K, V] = [8, 32, 16, 128, 128]
  const paper = new PaperMachine(2 ** 27)
  const make = (rows: number, cols: number) => paper.allocate(rows, cols)
  const args = { q: make(T, G * K), k: make(T, G * K), v: make(T, H * V), dt: make(T, H), beta: make(T, H) }
  const rates = { A_log: make(1, H), dtBias: make(1, H), groups: G, direction: 'forward' as const }
  webgpuBackend(paper).gatedDelta({ ...args, ...rates, segments: oneSegment(T, 0, true, 0) }, make(H * K, V))
  expect(paper.threads).toBe(8 * H * V)
})

describe.skipIf(!gpu)('webgpu', () => {
  it('compiles a pipeline once for all backends of a thread', async () => {
    const ended: number[] = []
    for (let i = 0; i < 2; i++) {
      const b = await openWebgpuBackend()
      await b.download(b.norm(b.upload([1, 2, 3], 1, 3), { kind: 'layer', eps: 1e-4 }, null, null))
      const { pipelines, bytes } = b.use!()
      expect(bytes).toBeGreaterThan(0)
      ended.push(pipelines)
      await b.close()
    }
    expect(ended).toEqual([1, 0])
  })

  it('reads across 1,048,576 rows in one call as in sixteen', async () => {
    const b = await openWebgpuBackend()
    const [T, E] = [2 ** 20, 8]
    const put = ({ data, rows, cols }: ReturnType<typeof values>) => b.upload(data, rows, cols)
    const [table, weight, A_log, D] = [put(values(5, E)), put(values(2, E)), put(values(E, 1)), put(values(1, E))]
    const ids = randomIds(T, seeded(9))
    const through = async (chunk: number) => {
      const [conv, ssm, carry] = [b.zeros(2, E), b.zeros(E, 1), b.zeros(1, 2 * E)]
      const found = []
      for (let from = 0; from < T; from += chunk) {
        const segments = oneSegment(chunk, from, from + chunk === T, 0)
        const x = b.embedRows(ids.subarray(from, from + chunk), table)
        const u = b.causalConv(x, weight, null, { segments, direction: 'forward', activation: 'silu', state: conv })
        const [B, C] = [b.columns(u, 0, 1), b.columns(u, 1, 2)]
        const scan = { u, dt: x, A_log, B, C, D, z: x, dtBias: null, softplus: true }
        const y = b.selectiveScan({ ...scan, segments, direction: 'forward' }, ssm)
        const mean = b.pool(y, segments, 'mean', carry)
        const last = b.rows(y, chunk - 1, chunk)
        if (from + chunk === T) for (const one of [mean, last, conv, ssm]) found.push(...(await b.download(one)))
        b.release(x, u, y, mean)
      }
      return found
    }
    const [whole, cut] = [await through(T), await through(T / 16)]
    expect(whole).toHaveLength(5 * E)
    expect(whole.every((v) => Number.isFinite(v) && v !== 0)).toBe(true)
    expect(whole.every((v, i) => Math.abs(v - cut[i]) < 1e-5 * Math.max(1, Math.abs(v)))).toBe(true)
    await b.close()
  })
})
