import { expect, test } from 'vitest'
import { openReferenceBackend } from '../../src/backends/reference/index.js'
import { type GatedNormSpec, gatedNorm } from '../../src/layers/mixers/mamba2.js'

const [y, z, weight] = [
  [1, -2, 3, 0.5],
  [0.3, 2, -1, 4],
  [1, 2, 3, 4],
]
const silu = (x: number) => x / (1 + Math.exp(-x))
const eps = 1e-5
const rms = (x: number[]) => x.map((v) => v / Math.sqrt(x.reduce((sum, w) => sum + w * w, 0) / x.length + eps))
const weighed = (x: number[]) => x.map((v, i) => v * weight[i])
const gated = (x: number[]) => x.map((v, i) => v * silu(z[i]))

test.each<[string, GatedNormSpec | undefined, number[]]>([
  ['the gate alone', undefined, gated(y)],
  ['norm(y silu(z))', { eps, groups: 1, before_gate: false }, weighed(rms(gated(y)))],
  ['norm(y) silu(z)', { eps, groups: 1, before_gate: true }, gated(weighed(rms(y)))],
  [
    'two groups',
    { eps, groups: 2, before_gate: false },
    weighed([...rms(gated(y).slice(0, 2)), ...rms(gated(y).slice(2))]),
  ],
])('%s', async (_, spec, wanted) => {
  const b = openReferenceBackend()
  const row = (numbers: number[]) => b.upload(numbers, 1, 4)
  const found = await b.download(gatedNorm(b, spec, row(y), row(z), spec ? row(weight) : null))
  for (const [i, value] of wanted.entries()) expect(found[i]).toBeCloseTo(value, 12)
})
