import { join } from 'node:path'
import { devices } from '../../src/backends/registry.js'
import { oneSegment } from '../../src/backends/segments.js'
import { Expected, type Golden, readConfig, readGolden } from './expected.js'
import { type Check, slack } from './folders.js'
import { nextTo } from './model.js'

/**
 * Turns and recurrence of Mamba-3 against the official kernel, whose inputs are B and C before bias and rotation, and steps and decays after their
 * functions, which are undone here. Samples of a batch are sequences of their own.
 */
export const checkMamba3: Check = async (folder, backendName) => {
  const config = await readConfig(folder)
  const { batch, seqlen: L, groups: G, heads: H, d_state: N, headdim: P, rope_angles: S } = config
  const inputs = await readGolden(join(folder, 'inputs.safetensors'))
  const expected = await Expected.read(folder, slack[backendName])
  const b = await devices[backendName].open()
  const sampleOf = ({ data }: Golden, i: number) =>
    data.subarray((i * data.length) / batch, ((i + 1) * data.length) / batch)
  const given = (name: string, i: number) => sampleOf(inputs.get(name)!, i)
  /** [H, L] -> [L, H] */
  const perHead = (of: (at: number) => number) =>
    b.upload(
      Float64Array.from({ length: L * H }, (_, at) => of((at % H) * L + Math.floor(at / H))),
      L,
      H,
    )
  const ofHeads = (i: number, name: string, turns: ReturnType<typeof b.zeros>) => {
    const [x, bias] = [given(name, i), inputs.get(`${name}_bias`)!.data]
    const biased = Float64Array.from({ length: L * H * N }, (_, at) => {
      const [t, h, n] = [Math.floor(at / H / N), Math.floor(at / N) % H, at % N]
      return x[(t * G + Math.floor((h * G) / H)) * N + n] + bias[h * N + n]
    })
    const turned = b.rotate(b.upload(biased, L * H, N), b.reshape(turns, L * H, 2 * S), 1, 'neighbours')
    return b.reshape(turned, L, H * N)
  }
  const carried = inputs.has('init_ssm')
  const stateOf = (name: string, i: number, rows: number, cols: number) =>
    carried ? b.upload(given(`init_${name}`, i), rows, cols) : b.zeros(rows, cols)
  const results: Record<string, number[]> = { out: [], final_angle: [], final_ssm: [], final_k: [], final_v: [] }
  for (let i = 0; i < batch; i++) {
    const [DT, ADT, Trap] = [given('DT', i), given('ADT', i), given('Trap', i)]
    const steps = { dt: perHead((at) => Math.log(Math.expm1(DT[at]))), dtBias: b.zeros(1, H) }
    // After other rows, where there are initial states.
    const segments = oneSegment(L, carried ? L : 0, true, 0)
    const angle = stateOf('angle', i, H, S)
    const turns = b.turns({ angles: b.upload(given('Angles', i), L, H * S), pairs: S, ...steps, segments }, angle)
    const state = { ssm: stateOf('ssm', i, H * P, N), k: stateOf('k', i, H, N), v: stateOf('v', i, H, P) }
    const y = b.trapezoid(
      {
        v: b.upload(given('V', i), L, H * P),
        k: ofHeads(i, 'K', turns),
        q: ofHeads(i, 'Q', turns),
        ...steps,
        A: perHead((at) => ((rate) => (rate < 1 ? 1 - 1 / rate : rate - 1))(-ADT[at] / DT[at])),
        trap: perHead((at) => Trap[at]),
        D: b.upload(inputs.get('D')!.data, 1, H),
        leastRate: 1e-6,
        segments,
      },
      state,
    )
    results.out.push(...(await b.download(b.combine(y, b.upload(given('Z', i), L, H * P), 'gate'))))
    for (const [name, x] of Object.entries({ angle, ...state })) results[`final_${name}`].push(...(await b.download(x)))
  }
  await b.close()
  for (const [name, got] of Object.entries(results))
    expected.compare(name, name === 'final_angle' ? nextTo(expected.get(name).data, got) : got)
  expected.checkAllCompared(/^$/)
  return expected.comparisons
}
