import { describe, expect, it } from 'vitest'
import { openReferenceBackend } from '../../src/backends/reference/index.js'
import {
  type Named,
  type Operation,
  operations,
  resultGradients,
  runBackward,
  runForward,
  type Values,
} from './operations.js'
import { randomNumbers } from './random.js'

const backend = openReferenceBackend()

const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => Array.from(a).reduce((sum, v, i) => sum + v * b[i], 0)

/** d loss / d input along a direction, by central differences, where loss = sum of dy * result. */
async function slope(op: Operation, dy: Named<Values>, name: string, direction: ArrayLike<number>): Promise<number> {
  const step = 1e-5
  const loss = async (by: number) => {
    const input = op.inputs[name]
    const moved = { ...input, data: input.data.map((v, i) => v + by * direction[i]) }
    const results = await runForward(backend, { ...op, inputs: { ...op.inputs, [name]: moved } })
    return Object.keys(dy).reduce((sum, key) => sum + dot(dy[key].data, results[key].data), 0)
  }
  return ((await loss(step)) - (await loss(-step))) / (2 * step)
}

describe('gradients of the reference against finite differences', () => {
  const { normal, below } = randomNumbers(2)
  // The larger cases are there for the blocks of other backends, and slow here.
  const cases = operations().filter((op) => op.backward && op.terms < 130)
  it.each(cases.map((op) => [op.name, op] as const))('%s', async (_, op) => {
    const dy = resultGradients(await runForward(backend, op))
    const gradient = await runBackward(backend, op, dy)
    expect(Object.keys(gradient)).toEqual(op.differentiable)
    for (const [name, { data }] of Object.entries(gradient)) {
      // One direction through all elements, and three single elements.
      const everywhere = Array.from(data, () => normal())
      const single = Array.from({ length: 3 }, () => below(data.length))
      for (const along of [everywhere, ...single.map((at) => data.map((_, i) => (i === at ? 1 : 0)))]) {
        const expected = await slope(op, dy, name, along)
        const size = Math.sqrt(dot(data, data)) * Math.sqrt(dot(along, along)) + 1
        expect(Math.abs(dot(data, along) - expected), `${name}: ${dot(data, along)} for ${expected}`).toBeLessThan(
          1e-6 * size,
        )
      }
    }
  })
})

describe('adamw', () => {
  const settings = { lr: 0.1, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.5, step: 1, scale: 1 }
  const one = (x: number) => backend.upload([x], 1, 1)

  it('moves the first step by the learning rate against the sign, and decays the weight', async () => {
    const param = one(2)
    backend.gradients?.adamw(param, one(-3), one(0), one(0), settings)
    expect((await backend.download(param))[0]).toBeCloseTo(2 + 0.1 - 0.1 * 0.5 * 2, 7)
  })

  it('keeps moving averages and corrects their start', async () => {
    const [param, m, v] = [one(1), one(0.2), one(0.04)]
    backend.gradients?.adamw(param, one(1), m, v, { ...settings, weightDecay: 0, step: 2, scale: 0.5 })
    const mean = 0.9 * 0.2 + 0.1 * 0.5
    const square = 0.999 * 0.04 + 0.001 * 0.25
    expect((await backend.download(m))[0]).toBeCloseTo(mean, 12)
    expect((await backend.download(v))[0]).toBeCloseTo(square, 12)
    const moved = (0.1 * (mean / (1 - 0.81))) / (Math.sqrt(square / (1 - 0.998001)) + 1e-8)
    expect((await backend.download(param))[0]).toBeCloseTo(1 - moved, 12)
  })
})
