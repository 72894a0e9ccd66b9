import { expect, test } from 'vitest'
import type { Tensor } from '../../src/backends/backend.js'
import { type Complex, type Discretisation, discretise, times } from '../../src/backends/discretise.js'
import { devices } from '../../src/backends/registry.js'
import { s4d } from '../../src/layers/mixers/s4d.js'
import { Params } from '../../src/layers/params.js'
import { segmentsOf } from '../backends/segments.js'
import { seeded } from './models.js'

const [T, D, N] = [11, 3, 4]

/** Weights by name, as plain numbers. */
function randomNumbers(): Map<string, Float64Array> {
  const random = seeded(23)
  const spec = { kind: 's4d', d_state: N, bidirectional: true } as const
  return new Map(
    s4d.weights(spec, D).map(({ name, rows, cols }) => {
      const shift = name === 'log_dt' ? -2 : name === 'A_imag' ? 2 : 0
      return [name, Float64Array.from({ length: rows * cols }, () => random() - 0.5 + shift)]
    }),
  )
}

/** 2 Re(sum C w^k held) of one channel, k = 0 .. T - 1. */
function kernelOf(weights: Map<string, Float64Array>, output: string, h: number, how: Discretisation): number[] {
  const [log_dt, real, imag, C] = ['log_dt', 'log_A_real', 'A_imag', output].map((name) => weights.get(name)!)
  const kernel = new Array<number>(T).fill(0)
  for (let i = (h * N) / 2; i < ((h + 1) * N) / 2; i++) {
    const { w, held } = discretise([-Math.exp(real[i]), imag[i]], Math.exp(log_dt[h]), how)
    let term = times([C[2 * i], C[2 * i + 1]], held)
    for (let k = 0; k < T; k++, term = times(term, w) as Complex) kernel[k] += 2 * term[0]
  }
  return kernel
}

for (const how of ['zoh', 'bilinear'] as const)
  test(`the recurrence in both directions is the convolution of s4.py, ${how}`, async () => {
    const b = await devices.reference.open()
    const weights = randomNumbers()
    const spec = {
      kind: 's4d',
      d_state: N,
      bidirectional: true,
      ...(how === 'bilinear' && { discretisation: how }),
    } as const
    const shapes = s4d.weights(spec, D)
    const params = new Params(
      new Map(shapes.map(({ name, rows, cols }) => [name, b.upload(weights.get(name)!, rows, cols)])),
    )
    const layer = s4d.make(spec, params)
    const random = seeded(29)
    const u = Float64Array.from({ length: T * D }, () => random() - 0.5)
    const x = b.upload(u, T, D)
    const segments = segmentsOf([T])
    const ys: Tensor[] = []
    for (const direction of layer.directions) ys.push(await layer.scan(b, { x }, segments, direction, null, ys))
    // k = pad(k0, (0, L)) + pad(flip(k1), (L, 0)): the reverse kernel begins at the next row.
    const convolved = new Float64Array(T * D)
    for (let h = 0; h < D; h++) {
      const [k0, k1] = ['C', 'C_reverse'].map((output) => kernelOf(weights, output, h, how))
      for (let t = 0; t < T; t++) {
        let y = weights.get('D')![h] * u[t * D + h]
        for (let j = 0; j < T; j++) y += (j <= t ? k0[t - j] : k1[j - t - 1]) * u[j * D + h]
        convolved[t * D + h] = y
      }
    }
    const expected = await b.download(await layer.finish(b, {}, [b.upload(convolved, T, D)], null, segments))
    const got = await b.download(await layer.finish(b, {}, ys, null, segments))
    for (let i = 0; i < T * D; i++) expect(got[i]).toBeCloseTo(expected[i], 12)
    await b.close()
  })
