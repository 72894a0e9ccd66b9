import { describe, expect, test } from 'vitest'
import type { FloatArray } from '../../src/backends/backend.js'
import { field, integer, text } from '../../src/backends/cpu/onnx.js'
import { findOnnxRuntime, loadOnnxRuntime } from '../../src/backends/cpu/onnxruntime.js'
import { backends } from './opened.js'
import { randomNumbers } from './random.js'
import { middlesOf } from './segments.js'

/**
 * ONNX Runtime's `com.microsoft.LinearAttention`, from other hands than ours and those of the golden folders: S = exp(g) S + k v' (gated), or with
 * beta k (v - exp(g) S' k)' in the place of k v' (gated_delta), and y = S' q.
 */
function linearAttention(rule: 'gated' | 'gated_delta', heads: number): Uint8Array {
  const inputs = ['query', 'key', 'value', 'past_state', 'decay', ...(rule === 'gated' ? [] : ['beta'])]
  const tensor = (name: string) => [text(1, name), field(2, [field(1, [integer(1, 1)])])]
  const whole = (name: string, value: number) => [text(1, name), integer(3, value), integer(20, 2)]
  const node = [
    ...inputs.map((name) => text(1, name)),
    ...['output', 'present_state'].map((name) => text(2, name)),
    text(4, 'LinearAttention'),
    text(7, 'com.microsoft'),
    field(5, [text(1, 'update_rule'), text(4, rule), integer(20, 3)]),
    field(5, whole('q_num_heads', heads)),
    field(5, whole('kv_num_heads', heads)),
    // 1, a float: the default is one by the root of the width.
    field(5, [text(1, 'scale'), [(2 << 3) | 5, 0, 0, 128, 63], integer(20, 1)]),
  ]
  const graph = [
    field(1, node),
    text(2, 'attention'),
    ...inputs.map((name) => field(11, tensor(name))),
    ...['output', 'present_state'].map((name) => field(12, tensor(name))),
  ]
  const versions = [field(8, [text(1, ''), integer(2, 17)]), field(8, [text(1, 'com.microsoft'), integer(2, 1)])]
  return Uint8Array.from([integer(1, 8), ...versions, field(7, graph)].flat())
}

const [T, H, K, V] = [67, 3, 5, 7]
const { normal } = randomNumbers(11)
const values = (count: number, scale = 1) => Float32Array.from({ length: count }, () => scale * normal())
const softplus = (x: number) => Math.log1p(Math.exp(x))
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))

const [q, k, v, dt, beta] = [values(T * H * K), values(T * H * K, 0.4), values(T * H * V), values(T * H), values(T * H)]
const [A_log, dtBias] = [values(H, 0.5), values(H)]
const state = values(H * K * V)
const step = dt.map((x, i) => softplus(x + dtBias[i % H]))
const decay = step.map((x, i) => -Math.exp(A_log[i % H]) * x)

async function opinion(rule: 'gated' | 'gated_delta', value: Float32Array) {
  const { InferenceSession, Tensor } = (await loadOnnxRuntime()) as unknown as typeof import('onnxruntime-node')
  const session = await InferenceSession.create(linearAttention(rule, H))
  const put = (data: Float32Array, ...shape: number[]) => new Tensor('float32', data, shape)
  const found = await session.run({
    query: put(q, 1, T, H * K),
    key: put(k, 1, T, H * K),
    value: put(value, 1, T, H * V),
    past_state: put(state, 1, H, K, V),
    decay: put(decay, 1, T, H),
    ...(rule === 'gated' ? {} : { beta: put(beta.map(sigmoid), 1, T, H) }),
  })
  await session.release()
  const [y, last] = [found.output, found.present_state].map(({ data }) => data as Float32Array)
  return { y, last }
}

function expectClose(found: FloatArray, expected: Float32Array): void {
  expect(found.length).toBe(expected.length)
  const worst = expected.reduce((most, x, i) => Math.max(most, Math.abs(x - found[i])), 0)
  const largest = expected.reduce((most, x) => Math.max(most, Math.abs(x)), 1)
  expect(worst / largest).toBeLessThan(4e-6)
}

/** [H, K, V] as [H, V, K], and back with the numbers exchanged. */
function turned(x: FloatArray, rows: number, cols: number): Float32Array {
  return Float32Array.from(x, (_, i) => {
    const [h, at] = [Math.floor(i / (rows * cols)), i % (rows * cols)]
    return x[h * rows * cols + (at % rows) * cols + Math.floor(at / rows)]
  })
}

describe.skipIf(!findOnnxRuntime()).each(backends)('ONNX Runtime agrees with $name', ({ open }) => {
  test('about the gated delta rule', async () => {
    const b = await open()
    const put = (data: Float32Array, cols: number) => b.upload(data, data.length / cols, cols)
    const S = put(state, V)
    const rows = { q: put(q, H * K), k: put(k, H * K), v: put(v, H * V), dt: put(dt, H), beta: put(beta, H) }
    const args = { ...rows, A_log: put(A_log, H), dtBias: put(dtBias, H), groups: H, segments: middlesOf([T]) }
    const y = await b.download(b.gatedDelta({ ...args, direction: 'forward' }, S))
    const expected = await opinion('gated_delta', v)
    expectClose(y, expected.y)
    expectClose(await b.download(S), expected.last)
    await b.close()
  })

  test('about SSD, whose keys and queries are B and C and whose values are dt x', async () => {
    const b = await open()
    const put = (data: Float32Array, cols: number) => b.upload(data, data.length / cols, cols)
    const S = put(turned(state, K, V), K)
    const rows = { x: put(v, H * V), dt: put(dt, H), B: put(k, H * K), C: put(q, H * K) }
    const perHead = { A_log: put(A_log, H), dtBias: put(dtBias, H), D: b.zeros(1, H) }
    const how = { groups: H, dtLimit: [0, Infinity] as const, segments: middlesOf([T]), direction: 'forward' as const }
    const y = await b.download(b.ssd({ ...rows, ...perHead, ...how }, S))
    const ofSteps = v.map((x, i) => x * step[Math.floor(i / V)])
    const expected = await opinion('gated', ofSteps)
    expectClose(y, expected.y)
    expectClose(turned(await b.download(S), V, K), expected.last)
    await b.close()
  })
})
