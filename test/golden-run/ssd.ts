import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Gradients, SsdArgs, Tensor } from '../../src/backends/backend.js'
import { devices } from '../../src/backends/registry.js'
import { oneSegment } from '../../src/backends/segments.js'
import { Expected, type Golden, readGolden } from './expected.js'
import { type Check, slack } from './folders.js'

/**
 * SSD and its gradients against the official kernel, whose `out` is with the gate by z. Samples of a batch are sequences of their own; the
 * gradients of parameters add up over them.
 */
export const checkSsd: Check = async (folder, backendName) => {
  const config = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'))
  const { batch, length: L, nheads: H, headdim: P, ngroups: G, dstate: N } = config.shape
  const inputs = await readGolden(join(folder, 'inputs.safetensors'))
  const expected = await Expected.read(folder, slack[backendName])
  const b = await devices[backendName].open()
  const widths: Record<string, number> = { x: H * P, z: H * P, w: H * P, dt: H, B: G * N, C: G * N }
  const ofSample = ({ data }: Golden, i: number) =>
    data.subarray((i * data.length) / batch, ((i + 1) * data.length) / batch)
  const rows = (name: string, i: number) => b.upload(ofSample(inputs.get(name)!, i), L, widths[name])
  const parameter = (name: string) => b.upload(inputs.get(name)!.data, 1, H)
  const states = (name: string, i: number) => {
    const given = inputs.get(name)
    return given ? b.upload(ofSample(given, i), H * P, N) : b.zeros(H * P, N)
  }
  const A = inputs.get('A')!.data
  const argsOf = (i: number): SsdArgs => ({
    x: rows('x', i),
    dt: rows('dt', i),
    A_log: b.upload(
      Array.from(A, (a) => Math.log(-a)),
      1,
      H,
    ),
    B: rows('B', i),
    C: rows('C', i),
    groups: G,
    D: parameter('D'),
    dtBias: parameter('dt_bias'),
    dtLimit: config.dt_limit ?? [0, Number.POSITIVE_INFINITY],
    // After other rows, where there are initial states.
    segments: oneSegment(L, config.has_initial_states ? L : 0, true, 0),
    direction: 'forward',
  })
  const [out, last]: number[][] = [[], []]
  for (let i = 0; i < batch; i++) {
    const state = states('initial_states', i)
    const y = b.ssd(argsOf(i), state)
    out.push(...(await b.download(b.combine(y, rows('z', i), 'gate'))))
    last.push(...(await b.download(state)))
  }
  expected.compare('out', out)
  expected.compare('final_states', last)
  if (b.gradients) {
    for (const prefix of ['grad', 'grad_with_final_states']) {
      if (!expected.has(`${prefix}.x`)) continue
      const found = await gradients(b.gradients, prefix === 'grad_with_final_states')
      for (const [name, numbers] of found)
        if (expected.has(`${prefix}.${name}`)) expected.compare(`${prefix}.${name}`, numbers)
    }
  }
  expected.checkAllCompared(b.gradients ? /^$/ : /^grad/)
  await b.close()
  return expected.comparisons

  /** Of sum(out w), and with it of sum(final_states w_final_states). */
  async function gradients(g: Gradients, withLast: boolean): Promise<Map<string, number[]>> {
    const found = new Map<string, number[]>()
    const [dA_log, dD, ddtBias] = [b.zeros(1, H), b.zeros(1, H), b.zeros(1, H)]
    for (let i = 0; i < batch; i++) {
      const args = argsOf(i)
      const initial = states('initial_states', i)
      const [y, z] = [b.ssd(args, states('initial_states', i)), rows('z', i)]
      const [dy, dz] = [b.zeros(L, H * P), b.zeros(L, H * P)]
      g.combine(rows('w', i), y, z, 'gate', { da: dy, db: dz })
      const [dx, ddt, dB, dC] = ['x', 'dt', 'B', 'C'].map((name) => b.zeros(L, widths[name]))
      const dInitial = b.zeros(H * P, N)
      const dLast = withLast ? states('w_final_states', i) : null
      g.ssd(dy, args, { dx, ddt, dA_log, dB, dC, dD, ddtBias }, { initial, dInitial, dLast })
      const ofSample: Record<string, Tensor> = { x: dx, dt: ddt, B: dB, C: dC, z: dz, initial_states: dInitial }
      for (const [name, x] of Object.entries(ofSample))
        found.set(name, [...(found.get(name) ?? []), ...(await b.download(x))])
    }
    // A is -exp(A_log), so dA = dA_log / A.
    found.set(
      'A',
      Array.from(await b.download(dA_log), (d, h) => d / A[h]),
    )
    found.set('D', [...(await b.download(dD))])
    found.set('dt_bias', [...(await b.download(ddtBias))])
    return found
  }
}
