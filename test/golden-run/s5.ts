import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { devices } from '../../src/backends/registry.js'
import { type S5Spec, s5 } from '../../src/layers/mixers/s5.js'
import { Params } from '../../src/layers/params.js'
import { cutSegments } from '../backends/segments.js'
import { Expected, readGolden } from './expected.js'
import { type Check, slack } from './folders.js'

/** The S5 layer of s5-pytorch without its gate, in two pieces of each sequence. */
export const checkS5: Check = async (folder, backendName) => {
  const { width: D, state_width: P } = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'))
  const model = await readGolden(join(folder, 'model.safetensors'))
  const expected = await Expected.read(folder, slack[backendName])
  const b = await devices[backendName].open()
  const official = (name: string) => model.get(`seq.${name}`)!.data
  const spec: S5Spec = { kind: 's5', d_state: P }
  const ours: Record<string, ArrayLike<number>> = {
    ...{ Lambda: official('Lambda'), log_step: official('log_step'), D: official('D') },
    'B.weight': partsAsRows(official('B'), D),
    'C.weight': official('C').map((c, i) => (i % 2 === 0 ? c : -c)),
  }
  const weights = s5.weights(spec, D).map(({ name, rows, cols }) => [name, b.upload(ours[name], rows, cols)] as const)
  const layer = s5.make(spec, new Params(new Map(weights)))

  const { data, shape } = expected.get('input')
  const [batch, L] = shape
  const [out, last]: number[][] = [[], []]
  for (let sample = 0; sample < batch; sample++) {
    const state = { ssm: b.zeros(P, 2) }
    for (const [from, to] of [
      [0, 33],
      [33, L],
    ]) {
      const x = b.upload(data.subarray((sample * L + from) * D, (sample * L + to) * D), to - from, D)
      const segments = cutSegments([L], from, to)
      const projected = await layer.project(b, x, segments)
      const states = await layer.scan(b, projected, segments, 'forward', state, [])
      out.push(...(await b.download(await layer.finish(b, projected, [states], null, segments))))
    }
    last.push(...(await b.download(state.ssm)))
  }
  await b.close()
  expected.compare('out', out)
  expected.compare('out_recurrent_batch0', out.slice(0, L * D))
  expected.compare('final_state', last)
  expected.checkAllCompared(/^$/)
  return expected.comparisons
}

/** [P, D, 2] -> [2 P, D] */
function partsAsRows(x: ArrayLike<number>, D: number): number[] {
  return Array.from({ length: x.length }, (_, i) => {
    const [row, d] = [Math.floor(i / D), i % D]
    return x[2 * ((row >> 1) * D + d) + (row & 1)]
  })
}
