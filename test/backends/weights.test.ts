import { describe, expect, test, vi } from 'vitest'
import type { FloatArray, LinearOptions } from '../../src/backends/backend.js'
import { type CpuOptions, openCpuBackend } from '../../src/backends/cpu/cpu.js'
import { openWebgpuBackend } from '../../src/backends/webgpu/webgpu.js'
import { type Dtype, newWeight, type Weight, weightOf, widened } from '../../src/backends/weight.js'
import { gpu } from './has-gpu.js'
import { randomNumbers } from './random.js'

const dtypes: Dtype[] = ['f32', 'f16', 'bf16']

/** Numbers within (-2, 2). */
function randomWeight(dtype: Dtype, rows: number, cols: number): Weight {
  const { uniform } = randomNumbers(rows + cols)
  const weight = newWeight(dtype, rows, cols)
  const below2 = { f32: 0, f16: 0x4000, bf16: 0x4000 }[dtype]
  for (let i = 0; i < weight.data.length; i++) {
    const value = 4 * uniform() - 2
    weight.data[i] = dtype === 'f32' ? value : Math.floor(Math.abs(value / 2) * below2) | (value < 0 ? 0x8000 : 0)
  }
  return weight
}

const sameBytes = (a: FloatArray, b: FloatArray) => Buffer.from(a.buffer).equals(Buffer.from(b.buffer))

/** f16 by its definition. */
function half(bits: number): number {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023]
  const magnitude = exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15)
  return bits & 0x8000 ? -magnitude : magnitude
}

describe.each(['plain', 'relaxed'] as const)('kernels %s', (kernels) => {
  test.each([
    ['f16', 0x7c00, half],
    ['bf16', 0x7f80, (bits) => new Float32Array(Uint32Array.of(bits << 16).buffer)[0]],
  ] as [Dtype, number, (bits: number) => number][])('every finite %s is widened exactly', async (dtype, end, value) => {
    const backend = await openCpuBackend({ kernels, matrixProducts: 'own kernel' })
    const weight = newWeight(dtype, 1, 2 * end - 1) // an odd number of them
    for (let i = 0; i < weight.data.length; i++) weight.data[i] = i < end ? i : 0x8000 | (i - end)
    const expected = Float32Array.from(weight.data, value)
    expect(sameBytes(widened(weight), expected)).toBe(true)
    expect(sameBytes(await backend.download(backend.weight(weight)), expected)).toBe(true)
    await backend.close()
  })
})

describe.each(['own kernel', 'onnxruntime'] as const)('weights in shared memory, products by %s', (matrixProducts) => {
  const open = (options: CpuOptions) => openCpuBackend({ matrixProducts, ...options })

  // Of one block, of several, of blocks that are not equally high, of a width that ONNX Runtime does not get.
  const shapes = [
    [5, 7],
    [300, 40],
    [2501, 1100],
    [130_000, 9],
  ]
  test.each(shapes.flatMap((shape) => dtypes.map((dtype) => [...shape, dtype] as [number, number, Dtype])))(
    'a product with [%d, %d] of %s has the bytes of one with its numbers uploaded, and nothing stays behind',
    async (O, I, dtype) => {
      const backend = await open({ keptWeights: 0 })
      const weight = randomWeight(dtype, O, I)
      const numbers = widened(weight)
      const shared = backend.weight(weight)
      const bias = backend.upload(widened(randomWeight('f32', 1, O)), 1, O)
      for (const T of [1, 3]) {
        const x = backend.upload(widened(randomWeight('f32', T, I)), T, I)
        const residual = backend.upload(widened(randomWeight('f32', T, O)), T, O)
        for (const options of [{}, { bias, residual }, { residual }, { bias, activation: 'silu' }] as LinearOptions[]) {
          const used = backend.machine.memory.usedBytes
          const y = await backend.linear(x, shared, options)
          const got = await backend.download(y)
          backend.release(y)
          expect(backend.machine.memory.usedBytes).toBe(used)
          const uploaded = backend.upload(numbers, O, I)
          const expected = await backend.linear(x, uploaded, options)
          expect(sameBytes(got, await backend.download(expected))).toBe(true)
          backend.release(uploaded, expected)
        }
        backend.release(x, residual)
      }
      await backend.close()
    },
  )

  test.each(dtypes)('rows of a table of %s are looked up', async (dtype) => {
    const table = randomWeight(dtype, 9, 5)
    const ids = Int32Array.of(8, 0, 3, 3)
    const expected = Float32Array.from([...ids].flatMap((id) => [...widened(table).subarray(5 * id, 5 * id + 5)]))
    for (const keptWeights of [0, 1e6]) {
      const backend = await open({ keptWeights })
      const shared = backend.weight(table)
      expect(await backend.download(backend.embedRows(ids, shared))).toEqual(expected)
      for (const id of [-1, 9]) expect(() => backend.embedRows(Int32Array.of(id), shared)).toThrow(`row ${id} of 9`)
      await backend.close()
    }
  })

  test('the first weights are kept, up to the limit', async () => {
    const backend = await open({ keptWeights: 3 * 4000 })
    const x = backend.upload(new Float32Array(20), 2, 10)
    const { memory } = backend.machine
    const used: number[] = []
    for (let i = 0; i < 5; i++) {
      const before = memory.usedBytes
      backend.release(await backend.linear(x, backend.weight(randomWeight('f16', 100, 10))))
      used.push(memory.usedBytes - before)
    }
    expect(used).toEqual([4032, 4032, 4032, 0, 0])
    await backend.close()
  })
})

test('an operation that needs all of a weight brings it in, and releasing it gives the memory back', async () => {
  const backend = await openCpuBackend({ keptWeights: 0 })
  const weight = backend.weight(weightOf(2, 3, [1, 2, 3, 4, 5, 6]))
  const { memory } = backend.machine
  const before = memory.usedBytes
  const sum = backend.combine(weight, weight, 'add')
  expect(await backend.download(sum)).toEqual(Float32Array.of(2, 4, 6, 8, 10, 12))
  backend.release(sum, weight)
  expect(memory.usedBytes).toBe(before)
  await backend.close()
})

describe.skipIf(!gpu)('weights on webgpu', () => {
  test.each(['f16', 'bf16'] as const)('every %s is widened as on the host, wherever it is read', async (dtype) => {
    const backend = await openWebgpuBackend()
    const weight = newWeight(dtype, 257, 255) // rows of an odd number of them
    for (let i = 0; i < weight.data.length; i++) weight.data[i] = i
    const shared = backend.weight(weight, 'table')
    const expected = widened(weight)
    const rows = Int32Array.from({ length: weight.rows }, (_, i) => i)
    for (const x of [backend.embedRows(rows, shared), backend.activate(shared, 'none'), shared])
      expect(await backend.download(x)).toEqual(expected)
    await backend.close()
  })

  test.each(dtypes)('a product with %s has the bytes of one with its numbers uploaded', async (dtype) => {
    for (const tensorBytes of [undefined, 4096]) {
      const backend = await openWebgpuBackend({ tensorBytes })
      for (const [T, I, O] of [
        [3, 37, 133],
        [1, 64, 64],
      ]) {
        // biome-ignore format: shapes
        const [weight, narrower] = [randomWeight(dtype, O, I), randomWeight('f32', T, I)]
        const x = backend.upload(widened(narrower), T, I)
        const got = await backend.download(await backend.linear(x, backend.weight(weight, 'w')))
        const uploaded = backend.weight(weightOf(O, I, widened(weight)), 'w')
        expect(sameBytes(got, await backend.download(await backend.linear(x, uploaded)))).toBe(true)
      }
      await backend.close()
    }
  })

  test('halves take half the memory, all of it is given back, and what reads them otherwise makes one copy', async () => {
    const backend = await openWebgpuBackend()
    const { machine } = backend
    const [allocate, release] = [vi.spyOn(machine, 'allocate'), vi.spyOn(machine, 'release')]
    const weight = backend.weight(randomWeight('bf16', 64, 32), 'w')
    expect(backend.use!().bytes).toBe(2 * 64 * 32)
    backend.release(backend.activate(weight, 'none'), backend.activate(weight, 'silu'), weight)
    expect(allocate.mock.calls).toEqual([[64, 32, 'bf16'], [64, 32, 'f32'], [64, 32], [64, 32]]) // biome-ignore format: in order
    expect(release).toHaveBeenCalledTimes(4)
    await backend.close()
  })
})
