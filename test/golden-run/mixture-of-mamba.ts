import { join } from 'node:path'
import type { Backend, Tensor } from '../../src/backends/backend.js'
import { devices } from '../../src/backends/registry.js'
import { oneSegment, type Segments, wholeSegments } from '../../src/backends/segments.js'
import { type MixtureOfMambaSpec, mixtureOfMamba } from '../../src/layers/mixers/mixture-of-mamba.js'
import { Params } from '../../src/layers/params.js'
import { Tape } from '../../src/training/tape.js'
import { Expected, type Golden, readConfig, readGolden } from './expected.js'
import { type Check, slack } from './folders.js'

/**
 * The layer of the official code: sequences whose modality changes, each run of rows a segment after the one before, and sequences of one modality
 * each, in one chunk, with the gradients of all weights.
 */
export const checkMixtureOfMamba: Check = async (folder, backendName) => {
  const { d_model: D, d_state, d_conv, expand, dt_rank, n_modalities: modalities } = await readConfig(folder)
  const d_inner = expand * D
  const mamba: MixtureOfMambaSpec['mamba'] = { kind: 'mamba', d_inner, d_state, dt_rank, d_conv }
  const spec: MixtureOfMambaSpec = { kind: 'mixture-of-mamba', modalities, mamba }
  const model = await readGolden(join(folder, 'model.safetensors'))
  const expected = await Expected.read(folder, slack[backendName])
  const b = await devices[backendName].open()
  const weights = new Map<string, Tensor>()
  for (const { name, rows, cols } of mixtureOfMamba.weights(spec, D)) {
    const given = model.get(official(name))
    if (given) weights.set(name, b.upload(ours(name, given.data, rows, cols), rows, cols))
  }
  const layer = mixtureOfMamba.make(spec, new Params(weights))
  /** x [rows, D] -> [rows, D] */
  const run = async (b: Backend, x: Tensor, segments: Segments, state: Record<string, Tensor> | null) => {
    const projected = await layer.project(b, x, segments)
    const y = await layer.scan(b, projected, segments, 'forward', state, [])
    const out = await layer.finish(b, projected, [y], null, segments)
    b.release(...Object.values(projected), y)
    return out
  }

  const [input, modality] = [expected.get('mixed.input'), expected.get('mixed.modality').data]
  const [batch, L] = input.shape
  const mixed: number[] = []
  for (let s = 0; s < batch; s++) {
    const shapes = Object.entries(layer.states('forward'))
    const state = Object.fromEntries(shapes.map(([name, { rows, cols }]) => [name, b.zeros(rows, cols)]))
    for (let from = 0, to = 0; from < L; from = to) {
      while (to < L && modality[s * L + to] === modality[s * L + from]) to++
      const x = b.upload(input.data.subarray((s * L + from) * D, (s * L + to) * D), to - from, D)
      const segments = {
        ...oneSegment(to - from, from, to === L, 0),
        modality: Int32Array.of(modality[s * L + from]),
      }
      mixed.push(...(await b.download(await run(b, x, segments, state))))
    }
  }
  expected.compare('mixed.out', mixed)

  const whole = expected.get('whole.input')
  const segments = wholeSequences(whole, expected.get('whole.modality'))
  const x = b.upload(whole.data, whole.data.length / D, D)
  expected.compare('whole.out', await b.download(await run(b, x, segments, null)))
  if (b.gradients) {
    const gradients = new Map([x, ...weights.values()].map((t) => [t, b.zeros(t.rows, t.cols)]))
    const tape = new Tape(b, gradients)
    const out = await run(tape, x, segments, null)
    await tape.backward(out, b.upload(expected.get('whole.dout').data, out.rows, out.cols))
    expected.compare('whole.dinput', await b.download(gradients.get(x)!))
    for (const [name, tensor] of weights) {
      const found = await b.download(gradients.get(tensor)!)
      // Ours back to [E, K].
      expected.compare(`whole.grad.${official(name)}`, ours(name, found, d_inner, d_conv))
    }
  } else expected.leaveOut('whole.')
  await b.close()
  expected.checkAllCompared(/^$/)
  return expected.comparisons
}

/** The official name of a weight. */
const official = (name: string) => name.replace(/^(\d+)\.(\w+)\./, 'local_experts_$2.$1.').replace(/^conv\./, 'conv1d.')

/** The convolution is [K, E] here and [E, 1, K] there: turned to [rows, cols]. */
const ours = (name: string, data: ArrayLike<number>, rows: number, cols: number): ArrayLike<number> =>
  name === 'conv.weight'
    ? Float64Array.from({ length: data.length }, (_, i) => data[(i % cols) * rows + Math.floor(i / cols)])
    : data

/** [S, L] sequences of one modality each. */
function wholeSequences({ shape: [S, L] }: Golden, { data }: Golden): Segments {
  const offsets = Int32Array.from({ length: S + 1 }, (_, s) => s * L)
  return { ...wholeSegments(offsets), modality: Int32Array.from({ length: S }, (_, s) => data[s * L]) }
}
