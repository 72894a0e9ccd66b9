import { describe, expect, it } from 'vitest'
import type { Backend } from '../../src/backends/backend.js'
import { openReferenceBackend } from '../../src/backends/reference/index.js'
import { pickDevice } from '../../src/backends/registry.js'
import { openGpu } from '../../src/backends/webgpu/dawn.js'
import { Machine } from '../../src/backends/webgpu/machine.js'
import { matricesOf, multipliesRight } from '../../src/backends/webgpu/matrices.js'
import { byMatrices } from '../../src/backends/webgpu/matrix-product.js'
import { openWebgpuBackend, webgpuBackend } from '../../src/backends/webgpu/webgpu.js'
import { type Dtype, newWeight, weightOf, widened } from '../../src/backends/weight.js'
import { exitCodes } from '../../src/errors.js'
import { toFloat16 } from '../../src/runtime/float16.js'
import { seeded } from '../engine/models.js'
import { gpu, matrices } from './has-gpu.js'

const config = (componentType: string, resultComponentType: string, M: number, N: number, K: number) => ({
  ...{ componentType, resultComponentType, M, N, K },
})

describe('matrices of subgroups', () => {
  const all = ['subgroups', 'shader-f16', 'chromium-experimental-subgroup-matrix']
  const adapter = (subgroupMaxSize: number, configs: ReturnType<typeof config>[], features = all) =>
    matricesOf({
      features: new Set(features),
      info: { subgroupMaxSize, subgroupMatrixConfigs: configs } as unknown as GPUAdapterInfo,
    })

  it('are the first that add up in float32, of each type of factors', () => {
    const nvidia = [config('f16', 'f16', 16, 16, 16), config('f16', 'f32', 16, 16, 16), config('f16', 'f32', 16, 8, 16)]
    expect(adapter(32, nvidia)).toEqual([{ factor: 'f16', M: 16, N: 16, K: 16, lanes: 128 }])
    const apple = [config('f32', 'f32', 8, 8, 8), config('f16', 'f16', 8, 8, 8)]
    expect(adapter(64, apple)).toEqual([{ factor: 'f32', M: 8, N: 8, K: 8, lanes: 128 }])
    const odd = [config('f16', 'f32', 12, 16, 16), config('f16', 'f32', 8, 16, 64), config('f16', 'f32', 8, 16, 16)]
    expect(adapter(16, odd)).toEqual([{ factor: 'f16', M: 8, N: 16, K: 16, lanes: 64 }])
  })

  it('are none without the features that they need', () => {
    const both = [config('f16', 'f32', 16, 16, 16), config('f32', 'f32', 8, 8, 8)]
    expect(adapter(32, both, ['subgroups', 'shader-f16'])).toEqual([])
    expect(adapter(32, both, all.slice(0, 1))).toEqual([])
    expect(adapter(128, both, [all[0], all[2]])).toEqual([{ factor: 'f32', M: 8, N: 8, K: 8, lanes: 128 }])
  })

  it('are only used where they multiply as they should', async () => {
    const b = openReferenceBackend()
    expect(await multipliesRight(b)).toBe(true)
    const wrong: Backend['linear'] = async (x, w) => {
      const y = await b.linear(x, w)
      const numbers = await b.download(y)
      numbers[numbers.length - 1] += 1
      return b.upload(numbers, y.rows, y.cols)
    }
    expect(await multipliesRight({ ...b, linear: wrong })).toBe(false)
  })

  it.each(['cpu', 'reference', 'tfjs'] as const)('are not had on %s', async (device) => {
    await expect(pickDevice(device, { precision: 'f16' })).rejects.toMatchObject({
      message: `--precision f16: the device ${device} has no float16; leave it out to compute in float32`,
      exitCode: exitCodes.unavailable,
    })
  })
})

const f16 = matrices.includes('f16') ? gpu?.matrices.find(({ factor }) => factor === 'f16') : undefined

describe.skipIf(!gpu)('webgpu without the matrices that are asked for', () => {
  it.skipIf(gpu?.matrices.some(({ factor }) => factor === 'f32'))('says so', async () => {
    await expect(openWebgpuBackend({ matrices: 'f32' })).rejects.toMatchObject({ exitCode: exitCodes.unavailable })
  })
})

describe.skipIf(!f16)('webgpu by matrices of float16', () => {
  /** Of a matrix for each subgroup: its programs are compiled in no time. */
  const small = f16 && { down: 2, across: 2, rows: f16.M, cols: f16.N }
  const opened = async (lanes = f16!.lanes, tensorBytes = gpu!.facts.tensorBytes) =>
    webgpuBackend(new Machine(await openGpu('f16'), tensorBytes), { product: byMatrices({ ...f16!, lanes }, small) })

  /** Numbers that float16 and bfloat16 have. */
  const values = (rows: number, cols: number) => {
    const random = seeded(rows * 1000 + cols)
    return { rows, cols, data: Float32Array.from({ length: rows * cols }, () => Math.round(128 * random() - 64) / 64) }
  }
  const weight = (dtype: Dtype, rows: number, cols: number) => {
    const stored = newWeight(dtype, rows, cols)
    const bits = new Uint32Array(values(rows, cols).data.buffer)
    const numbers = new Float32Array(bits.buffer)
    stored.data.set(dtype === 'f32' ? numbers : dtype === 'f16' ? toFloat16(numbers) : bits.map((b) => b >>> 16))
    expect(widened(stored)).toEqual(numbers)
    return stored
  }
  const shapes = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 61].map((size, i, all) => [
    size,
    all[(i * 5 + 4) % 13],
    all[(i * 3 + 7) % 13],
  ])

  it.each(shapes)('multiplies [%i, %i] to %i', async (T, I, O) => {
    const [b, reference] = [await opened(), openReferenceBackend()]
    const [x, bias, residual] = [values(T, I + 3), values(1, O), values(T, O)]
    for (const [dtype, fused] of [
      ['f32', {}],
      ['f16', { bias: true }],
      ['bf16', { residual: true, activation: 'silu' }],
      ['f32', { bias: true, residual: true, activation: 'gelu' }],
    ] as const) {
      const product = async (on: Backend) => {
        const put = ({ data, rows, cols }: typeof x) => on.upload(data, rows, cols)
        const part = on.columns(put(x), 2, I + 2)
        const w = on.weight(weight(dtype, O, I), 'w')
        const options = {
          ...{ bias: 'bias' in fused ? put(bias) : null, residual: 'residual' in fused ? put(residual) : null },
          activation: 'activation' in fused ? fused.activation : ('none' as const),
        }
        return on.download(await on.linear(part, w, options))
      }
      const [got, wanted] = [await product(b), await product(reference)]
      expect(got.length).toBe(wanted.length)
      for (const [i, value] of got.entries())
        expect(Math.abs(value - wanted[i])).toBeLessThan(1e-5 * Math.max(1, Math.abs(wanted[i])))
    }
    await b.close()
  })

  // A subgroup takes all turns; some are left over; half of them do what others do.
  it.each([0.25, 0.75, 2])('multiplies with %f times as many subgroups as parts', async (times) => {
    const b = await opened(times * f16!.lanes)
    expect(await multipliesRight(b)).toBe(true)
    await b.close()
  })

  it('multiplies by a weight that lies in several tensors', async () => {
    const [whole, parts] = [await opened(), await opened(undefined, 2048)]
    const [x, w] = [values(5, 33), values(70, 33)]
    const product = async (on: Backend) =>
      on.download(await on.linear(on.upload(x.data, 5, 33), on.weight(weightOf(70, 33, w.data), 'w')))
    expect(await product(parts)).toEqual(await product(whole))
  })

  it('rounds factors to float16, and adds up in float32', async () => {
    const b = await opened()
    const product = async (x: number[], w: number[]) =>
      (await b.download(await b.linear(b.upload(x, 1, x.length), b.upload(w, 1, w.length))))[0]
    expect(await product([1 + 2 ** -12], [1])).toBe(1)
    expect(await product([1 + 2 ** -10], [1])).toBe(1 + 2 ** -10)
    expect(await product([1024, 1, 0.125], [1024, 1, 0.125])).toBe(2 ** 20 + 1 + 2 ** -6 - 2 ** -6)
    await b.close()
  })

  it('multiplies right in the tile that commands use, with the same bits from run to run', async () => {
    const b = await openWebgpuBackend({ matrices: 'f16' })
    expect(await multipliesRight(b)).toBe(true)
    const [x, w] = [values(130, 70), values(66, 70)]
    const run = async () => b.download(await b.linear(b.upload(x.data, 130, 70), b.upload(w.data, 66, 70)))
    expect(await run()).toEqual(await run())
    await b.close()
  })
})
