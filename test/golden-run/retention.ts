import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { devices } from '../../src/backends/registry.js'
import {
  logDecays,
  type RetentionSpec,
  retention,
  retentionFrequencies,
  scaleAt,
} from '../../src/layers/mixers/retention.js'
import { Params } from '../../src/layers/params.js'
import { turnsOf } from '../../src/layers/rotation.js'
import { cutSegments } from '../backends/segments.js'
import { Expected, readGolden } from './expected.js'
import { type Check, slack } from './folders.js'

/** The retention layer of the official code in its three forms, by ours row by row and in one chunk. */
export const checkRetention: Check = async (folder, backendName) => {
  const json = async (file: string) => JSON.parse(await readFile(join(folder, file), 'utf8'))
  const { embed_dim: D, value_dim, num_heads: heads, layernorm_eps } = await json('config.json')
  const model = await readGolden(join(folder, 'model.safetensors'))
  const expected = await Expected.read(folder, slack[backendName])
  const b = await devices[backendName].open()
  const [d_key, d_value] = [D / heads, value_dim / heads]
  const spec: RetentionSpec = { kind: 'retention', heads, d_key, d_value, norm_eps: layernorm_eps }
  const weights = new Map(
    retention.weights(spec, D).map(({ name, rows, cols }) => [name, b.upload(model.get(name)!.data, rows, cols)]),
  )
  const layer = retention.make(spec, new Params(weights))
  const input = expected.get('input')
  const [batch, L] = input.shape
  const run = async (rows: Float32Array, chunk: number) => {
    const state = { prev_key_value: b.zeros(heads * d_value, d_key) }
    const out: number[] = []
    for (let from = 0; from < L; from += chunk) {
      const x = b.upload(rows.subarray(from * D, (from + chunk) * D), chunk, D)
      const segments = cutSegments([L], from, from + chunk)
      const projected = await layer.project(b, x, segments)
      const y = await layer.scan(b, projected, segments, 'forward', state, [])
      out.push(...(await b.download(await layer.finish(b, projected, [y], null, segments))))
    }
    return { out, state: await b.download(state.prev_key_value) }
  }
  const scales = logDecays(heads).map((decay) => scaleAt(L - 1, decay))
  const [byRow, byChunk, states]: number[][] = [[], [], []]
  for (let i = 0; i < batch; i++) {
    const rows = Float32Array.from(input.data.subarray(i * L * D, (i + 1) * L * D))
    const { out, state } = await run(rows, 1)
    byRow.push(...out)
    byChunk.push(...(await run(rows, L)).out)
    states.push(...state.map((sum, j) => sum / Math.sqrt(scales[Math.floor(j / d_value / d_key)])))
  }
  expected.compare('out_recurrent', byRow)
  expected.compare('state_prev_key_value', states)
  expected.compare('state_scale', scales)
  // These forms divide by other sizes before the norm, whose epsilon then counts otherwise: so far the official forms differ.
  const { parallel_vs_recurrent_and_chunkwise_max_diff_f32: apart } = await json('meta.json')
  for (const name of ['out', 'out_chunkwise']) expected.compare(name, byChunk, undefined, Math.max(...apart))
  const turns = await b.download(turnsOf(b, cutSegments([L], 0, L), retentionFrequencies(d_key)))
  const angles = (first: number) =>
    Array.from({ length: L * d_key }, (_, i) => turns[Math.floor(i / d_key) * d_key + first + ((i % d_key) >> 1)])
  expected.compare('rel_pos.cos', angles(0))
  expected.compare('rel_pos.sin', angles(d_key / 2))
  await b.close()
  expected.checkAllCompared(/^$/)
  return expected.comparisons
}
