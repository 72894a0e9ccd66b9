import { describe, expect, it } from 'vitest'
import type { Backend, FloatArray, ScanArgs, ScanGradients, Tensor } from '../../src/backends/backend.js'
import { type GoldenTensor, goldenKernel } from '../golden-folder.js'
import { type BackendName, slack } from '../golden-run/folders.js'
import { backends } from './opened.js'
import { cutSegments } from './segments.js'

const folders = ['1x8x64x4', '2x12x257x16-g3', 'noz-noD-nosoftplus', 'L20000'].map((name) => `kernel-selscan-${name}`)

/** Sample b of [batch, channels, length] (or [batch, G, N, length]) as [length, channels]. */
function tokensFirst({ shape, data }: GoldenTensor, b: number) {
  const L = shape.at(-1)!
  const cols = data.length / shape[0] / L
  const out = new Float32Array(L * cols)
  for (let c = 0; c < cols; c++) for (let t = 0; t < L; t++) out[t * cols + c] = data[(b * cols + c) * L + t]
  return { data: out, rows: L, cols }
}

/** The gradients by the names of the golden file; its A is -exp(A_log), so dA = dA_log / A. */
const gradientNames: Record<string, keyof ScanGradients> = {
  u: 'du',
  delta: 'ddt',
  A: 'dA_log',
  B: 'dB',
  C: 'dC',
  D: 'dD',
  z: 'dz',
  delta_bias: 'ddtBias',
}
const perToken = ['u', 'delta', 'B', 'C', 'z']

async function golden(folder: string, backend: Backend) {
  const { config, inputs, expected, atol } = await goldenKernel(folder)
  const { batch, dim: E, dstate: N, length: L } = config.shape
  const A = inputs.get('A')!.data
  const put = (name: string, b: number) => {
    const x = inputs.get(name)
    if (!x) return null
    const { data, rows, cols } =
      perToken.includes(name) || name === 'w' ? tokensFirst(x, b) : { data: x.data, rows: 1, cols: E }
    return backend.upload(data, rows, cols)
  }
  const argsOf = (b: number): ScanArgs => ({
    u: put('u', b)!,
    dt: put('delta', b)!,
    A_log: backend.upload(
      Array.from(A, (a) => Math.log(-a)),
      E,
      N,
    ),
    B: put('B', b)!,
    C: put('C', b)!,
    D: put('D', b),
    z: put('z', b),
    dtBias: put('delta_bias', b),
    softplus: config.delta_softplus,
    segments: cutSegments([L], 0, L),
    direction: 'forward',
  })
  const compare = (got: FloatArray, name: string, b: number) => {
    const tensor = expected.get(name)!
    const wanted = tensor.shape.at(-1) === L ? tokensFirst(tensor, b).data : tensor.data.subarray(b * E * N)
    let worst = 0
    for (let i = 0; i < got.length; i++) worst = Math.max(worst, Math.abs(got[i] - wanted[i]))
    // A NaN fails.
    expect(worst, `${name} of ${folder}`).toBeLessThanOrEqual(atol(name) * slack[backend.name as BackendName])
  }
  return { batch, E, N, L, A, inputs, expected, put, argsOf, compare }
}

describe.each(backends)('selective scan of the official code on $name', ({ open }) => {
  it.each(folders)('%s', async (folder) => {
    const backend = await open()
    const { batch, E, N, argsOf, compare } = await golden(folder, backend)
    for (let b = 0; b < batch; b++) {
      const state = backend.zeros(E, N)
      compare(await backend.download(backend.selectiveScan(argsOf(b), state)), 'out', b)
      compare(await backend.download(state), 'last_state', b)
    }
    await backend.close()
  })
})

const kernels = await Promise.all(folders.map(goldenKernel))
const withGradients = folders.filter((_, i) => kernels[i].inputs.has('w'))

const training = backends.filter(({ gradients }) => gradients)
describe.each(training)('gradients of the official code on $name', ({ open }) => {
  it.each(withGradients.flatMap((folder) => [[folder, 'grad'] as const, [folder, 'grad_with_last_state'] as const]))(
    '%s %s',
    async (folder, prefix) => {
      const backend = await open()
      const { batch, E, N, L, A, inputs, expected, put, argsOf, compare } = await golden(folder, backend)
      const into = (name: string): Tensor | null => {
        const x = expected.get(`${prefix}.${name}`)
        if (!x) return null
        if (perToken.includes(name)) return backend.zeros(L, x.data.length / batch / L)
        return name === 'A' ? backend.zeros(E, N) : backend.zeros(1, E)
      }
      // Gradients of parameters add up over the batch, those of tokens are compared sample by sample.
      const gradients = Object.entries(gradientNames)
      const shared = Object.fromEntries(gradients.map(([name, key]) => [key, into(name)])) as unknown as ScanGradients
      const state = inputs.get('w_last_state')!.data
      for (let b = 0; b < batch; b++) {
        const own = { ...shared }
        for (const name of perToken) own[gradientNames[name]] = into(name)
        const dState = backend.upload(state.subarray(b * E * N, (b + 1) * E * N), E, N)
        backend.gradients!.selectiveScan(put('w', b)!, argsOf(b), own, prefix === 'grad' ? null : dState)
        for (const name of perToken) {
          const got = own[gradientNames[name]]
          if (got) compare(await backend.download(got), `${prefix}.${name}`, b)
        }
      }
      for (const [name, key] of gradients) {
        const got = shared[key]
        if (!got || perToken.includes(name)) continue
        const numbers = await backend.download(got)
        compare(name === 'A' ? numbers.map((v, i) => v / A[i]) : numbers, `${prefix}.${name}`, 0)
      }
      await backend.close()
    },
  )
})
