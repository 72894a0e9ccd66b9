import type { Backend } from './backends/backend.js'
import type { NetworkState } from './engine/network.js'
import { exitCodes, UserError } from './errors.js'
import type { ModelSpec } from './spec.js'

/** What a causal model carries from one call to the next, on the host, in the shapes of the official code. */
export interface ModelState {
  layers: {
    /** [E, K]: the last K raw inputs of the convolution, the newest last, zero where there were none. */
    conv: Float32Array
    /** [E, N] */
    ssm: Float32Array
  }[]
  /** Of models with a stem: the last inputs of each of its convolutions, [window, D_in]. */
  stem: Float32Array[]
}

export async function saveState(backend: Backend, state: NetworkState): Promise<ModelState> {
  const layers = []
  for (const { forward } of state.blocks) {
    const conv = Float32Array.from(await backend.download(forward.conv))
    const ssm = Float32Array.from(await backend.download(forward.ssm))
    layers.push({ conv: transposed(conv, forward.conv.rows, forward.conv.cols), ssm })
  }
  const stem = []
  for (const window of state.stem) stem.push(Float32Array.from(await backend.download(window)))
  return { layers, stem }
}

/** Errors: UserError with exit code 2 when the state is of another model; nothing was uploaded then. */
export function loadState(backend: Backend, { layers, stem }: ModelState, spec: ModelSpec): NetworkState {
  const check = (name: string, { length }: { length: number }, expected: number) => {
    if (length !== expected) {
      throw new UserError(`state of another model: ${name} has ${length} values, expected ${expected}`, exitCodes.usage)
    }
  }
  check('layers', layers, spec.blocks.length)
  check('stem', stem, spec.stem.length)
  const widths = [spec.d_embed, ...spec.stem.map(({ d_out }) => d_out)]
  for (const [i, { window }] of spec.stem.entries()) check(`stem ${i}`, stem[i], window * widths[i])
  const mixers = spec.blocks.map(({ mixer }) => {
    if (mixer.kind !== 'mamba') throw new Error('unreachable: only causal models take a state')
    return mixer
  })
  for (const [i, { d_inner: E, d_state: N, d_conv: K }] of mixers.entries()) {
    check(`conv of layer ${i}`, layers[i].conv, E * K)
    check(`ssm of layer ${i}`, layers[i].ssm, E * N)
  }
  return {
    stem: spec.stem.map(({ window }, i) => backend.upload(stem[i], window, widths[i])),
    blocks: mixers.map(({ d_inner: E, d_state: N, d_conv: K }, i) => {
      const { conv, ssm } = layers[i]
      const forward = { conv: backend.upload(transposed(conv, E, K), K, E), ssm: backend.upload(ssm, E, N) }
      return { forward, reverse: null }
    }),
  }
}

/** [rows, cols] -> [cols, rows] */
function transposed(data: Float32Array, rows: number, cols: number): Float32Array {
  const flipped = new Float32Array(data.length)
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) flipped[j * rows + i] = data[i * cols + j]
  return flipped
}
