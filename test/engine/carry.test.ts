import { describe, expect, test, vi } from 'vitest'
import type { Backend } from '../../src/backends/backend.js'
import { openCpuBackend } from '../../src/backends/cpu/cpu.js'
import { openReferenceBackend } from '../../src/backends/reference/index.js'
import { wholeSegments } from '../../src/backends/segments.js'
import { openWebgpuBackend } from '../../src/backends/webgpu/webgpu.js'
import { newWeight } from '../../src/backends/weight.js'
import { Network } from '../../src/engine/network.js'
import { Session } from '../../src/engine/session.js'
import type { AnyMambaSpec } from '../../src/layers/mixers/any-mamba.js'
import { uploadWeights, type Weights } from '../../src/layers/params.js'
import { toFloat16 } from '../../src/runtime/float16.js'
import type { ModelSpec } from '../../src/spec.js'
import { gpu } from '../backends/has-gpu.js'
import { randomIds, randomWeights, seeded, tinySpec } from './models.js'

/** So wide that the states of a sweep are computed without the gates. */
const E = 140
const mambas = {
  mamba: { kind: 'mamba', d_inner: E, d_state: 3, dt_rank: 3, d_conv: 4 },
  mamba2: { kind: 'mamba2', d_inner: E, headdim: 35, n_groups: 2, d_state: 5, d_conv: 4 },
} as const satisfies Record<string, AnyMambaSpec>
const specOf = (kind: keyof typeof mambas, tied: boolean): ModelSpec => ({
  ...tinySpec('add'),
  blocks: [1, 2].map(() => ({ mixer: { kind: 'bidirectional', mamba: mambas[kind], combine: 'add', tied } })),
})

const halves = (weights: Weights): Weights =>
  new Map(
    [...weights].map(([name, { rows, cols, data }]) => {
      if (rows === 1) return [name, weights.get(name)!]
      const half = newWeight('f16', rows, cols)
      half.data.set(toFloat16(data as Float32Array))
      return [name, half]
    }),
  )

const ids = randomIds(131, seeded(3))
const outputs = [{ head: true }, { layer: 1 }] as const

/** What is read of a sequence, which is cut where a chunk is shorter. */
async function read(b: Backend, spec: ModelSpec, weights: Weights, chunk: number) {
  const net = new Network(b, spec, uploadWeights(b, weights))
  const session = new Session(net, { chunk, outputs: [...outputs] })
  const { reads } = await session.push({ input: ids, segments: wholeSegments(Int32Array.of(0, ids.length)) })
  return reads.map(({ data }) => [...data])
}
const [cut, whole] = [40, 200]

describe.each([
  ['mamba', true],
  ['mamba', false],
  ['mamba2', true],
  ['mamba2', false],
] as const)('a state that is carried without the gates: two of %s, tied %s', (kind, tied) => {
  const spec = specOf(kind, tied)
  const [stored, half] = [randomWeights(spec), halves(randomWeights(spec))]

  test.each([
    ['reference', async () => openReferenceBackend(), stored],
    ['cpu', () => openCpuBackend(), stored],
    ['cpu with weights in shared memory', () => openCpuBackend({ keptWeights: 0 }), stored],
    ['cpu with float16 in shared memory', () => openCpuBackend({ keptWeights: 0 }), half],
  ] as const)('has the same bytes on %s', async (_, open, weights) => {
    const b = await open()
    expect(await read(b, spec, weights, cut)).toEqual(await read(b, spec, weights, whole))
    await b.close()
  })

  test.skipIf(!gpu)('follows on webgpu, also where weights lie in several tensors', async () => {
    for (const weights of [stored, half]) {
      const [large, small] = [await openWebgpuBackend(), await openWebgpuBackend({ tensorBytes: 3600 })]
      const wanted = await read(large, spec, weights, whole)
      for (const got of [await read(large, spec, weights, cut), await read(small, spec, weights, 2)])
        for (const [i, data] of got.entries())
          for (const [j, value] of data.entries()) expect(Math.abs(value - wanted[i][j])).toBeLessThan(1e-4)
      await large.close()
      await small.close()
    }
  })

  test('takes no product for them', async () => {
    const b = openReferenceBackend()
    const linear = vi.spyOn(b, 'linear')
    await read(b, spec, stored, cut)
    const rows = linear.mock.calls.filter(([x]) => x.cols === spec.d_model).map(([, w]) => w.rows)
    // Of four chunks three are swept backwards for their states, in two layers.
    const driving = kind === 'mamba' ? E : E + 2 * 2 * 5 + E / 35
    expect(rows.filter((n) => n === driving)).toHaveLength(2 * 3)
  })
})
