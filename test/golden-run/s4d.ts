import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FloatArray, Tensor } from '../../src/backends/backend.js'
import { devices } from '../../src/backends/registry.js'
import { familyOf } from '../../src/layers/mixers/registry.js'
import type { S4dSpec } from '../../src/layers/mixers/s4d.js'
import { Params } from '../../src/layers/params.js'
import { cutSegments } from '../backends/segments.js'
import { Expected, type Golden, readGolden } from './expected.js'
import { type Check, slack } from './folders.js'
import { tokensFirst } from './kernel.js'

/** The S4D layer of the official code, which convolves, by our recurrence, in two pieces of each sequence. */
export const checkS4d: Check = async (folder, backendName) => {
  const { d_model: H, d_state: N } = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'))
  const model = await readGolden(join(folder, 'model.safetensors'))
  const expected = await Expected.read(folder, slack[backendName])
  const b = await devices[backendName].open()
  const spec: S4dSpec = { kind: 's4d', d_state: N }
  const family = familyOf(spec)
  const weights = new Map(
    family.weights(spec, H).map(({ name, rows, cols }) => [name, b.upload(officialOf(model, name), rows, cols)]),
  )
  const layer = family.make(spec, new Params(weights))
  const scan = async (rows: Float32Array, L: number, cuts: number[], of = layer) => {
    const state = { ssm: b.zeros(H, N) }
    const ys: FloatArray[] = []
    for (const [i, to] of [...cuts, L].entries()) {
      const from = cuts[i - 1] ?? 0
      const projected = await of.project(b, b.upload(rows.subarray(from * H, to * H), to - from, H))
      ys.push(await b.download(await of.scan(b, projected, cutSegments([L], from, to), 'forward', state, [])))
    }
    return { y: ys.flatMap((y) => [...y]), state: await b.download(state.ssm) }
  }
  // What an impulse gives without D is the kernel of the convolution.
  const withoutD = family.make(spec, new Params(new Map<string, Tensor>([...weights, ['D', b.zeros(1, H)]])))
  for (const name of ['L1', 'L64', 'L1000']) {
    const input = expected.get(`${name}.input`)
    const [batch, , L] = input.shape
    const cuts = L > 1 ? [Math.floor(L / 3)] : []
    const impulse = new Float32Array(L * H).fill(1, 0, H)
    expected.compare(`${name}.kernel`, channelsFirst((await scan(impulse, L, cuts, withoutD)).y, L))
    const [scanned, out, last]: number[][] = [[], [], []]
    for (let sample = 0; sample < batch; sample++) {
      const { y, state } = await scan(tokensFirst(input, sample), L, cuts)
      const finished = await b.download(await layer.finish(b, {}, [b.upload(y, L, H)], null))
      scanned.push(...channelsFirst(y, L))
      out.push(...channelsFirst(finished, L))
      last.push(...state)
    }
    expected.compare(`${name}.ssm_out`, scanned)
    expected.compare(`${name}.out`, out)
    expected.compare(`${name}.final_state`, last)
  }
  await b.close()
  expected.checkAllCompared(/^$/)
  return expected.comparisons
}

/** A weight by our name in the official file. */
function officialOf(model: Map<string, Golden>, name: string): Golden['data'] {
  const official =
    name === 'D' ? name : name.startsWith('out_proj') ? `output_linear.0${name.slice(8)}` : `kernel.${name}`
  return model.get(official)!.data
}

/** [L, H] -> [H, L] */
function channelsFirst(rows: ArrayLike<number>, L: number): number[] {
  const H = rows.length / L
  return Array.from({ length: rows.length }, (_, i) => rows[(i % L) * H + Math.floor(i / L)])
}
