import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Tensor } from '../../src/backends/backend.js'
import { devices } from '../../src/backends/registry.js'
import { oneSegment } from '../../src/backends/segments.js'
import { Expected, type Golden, readGolden } from './expected.js'
import { type Check, slack } from './folders.js'

/** The selective scan of a backend against the official kernel: outputs and final states (gradients: test/backends). */
export const checkKernel: Check = async (folder, backendName) => {
  const config = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'))
  const { batch, dim: E, dstate: N, length: L } = config.shape
  const inputs = await readGolden(join(folder, 'inputs.safetensors'))
  const expected = await Expected.read(folder, slack[backendName])
  const b = await devices[backendName].open()
  const out: number[] = []
  const last: number[] = []
  const A = inputs.get('A')!.data
  for (let sample = 0; sample < batch; sample++) {
    const perToken = (name: string): Tensor | null => {
      const tensor = inputs.get(name)
      return tensor ? b.upload(tokensFirst(tensor, sample), L, tensor.data.length / batch / L) : null
    }
    const perChannel = (name: string): Tensor | null => {
      const tensor = inputs.get(name)
      return tensor ? b.upload(tensor.data, 1, E) : null
    }
    const state = b.zeros(E, N)
    const y = b.selectiveScan(
      {
        u: perToken('u')!,
        dt: perToken('delta')!,
        A_log: b.upload(
          Array.from(A, (a) => Math.log(-a)),
          E,
          N,
        ),
        B: perToken('B')!,
        C: perToken('C')!,
        D: perChannel('D'),
        z: perToken('z'),
        dtBias: perChannel('delta_bias'),
        softplus: config.delta_softplus,
        segments: oneSegment(L, 0, true, 0),
        direction: 'forward',
      },
      state,
    )
    const rows = await b.download(y)
    for (let e = 0; e < E; e++) for (let t = 0; t < L; t++) out.push(rows[t * E + e])
    last.push(...(await b.download(state)))
  }
  await b.close()
  expected.compare('out', out)
  expected.compare('last_state', last)
  expected.checkAllCompared(/^grad/)
  return expected.comparisons
}

/** One sample of [batch, channels, L] or [batch, G, N, L] as [L, channels]. */
export function tokensFirst({ shape, data }: Golden, sample: number): Float32Array {
  const L = shape.at(-1)!
  const cols = data.length / shape[0] / L
  const rows = new Float32Array(L * cols)
  for (let c = 0; c < cols; c++) for (let t = 0; t < L; t++) rows[t * cols + c] = data[(sample * cols + c) * L + t]
  return rows
}
