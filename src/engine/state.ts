import type { Tensor } from '../backends/backend.js'
import { exitCodes, UserError } from '../errors.js'
import type { Network, NetworkState } from './network.js'

/**
 * What a causal model carries from one call to the next, on the host, in the shapes and by the names of the official code: of a Mamba
 * `conv` [E, K], the last K raw inputs of the convolution, the newest last, zero where there were none, and `ssm` [E, N].
 */
export interface ModelState {
  /** Tokens of the sequence so far. */
  position: number
  layers: Record<string, Float32Array>[]
  /** Of models with a stem: the last inputs of each of its convolutions, [window, D_in]. */
  stem: Float32Array[]
}

/** Slot 0 of a state. */
export async function saveState(
  network: Network,
  { stem, blocks }: NetworkState,
  position: number,
): Promise<ModelState> {
  const { backend, spec } = network
  const first = async (x: Tensor, rows: number) => Float32Array.from(await backend.download(backend.rows(x, 0, rows)))
  const layers = []
  for (const [i, { mixer }] of network.blocks.entries()) {
    const layer: Record<string, Float32Array> = {}
    for (const [name, { rows, cols, transposed }] of Object.entries(mixer.states('forward'))) {
      const data = await first(blocks[i].forward![name], rows)
      layer[name] = transposed ? transpose(data, rows, cols) : data
    }
    layers.push(layer)
  }
  const stems = []
  for (const [i, { window }] of spec.stem.entries()) stems.push(await first(stem[i], window))
  return { position, layers, stem: stems }
}

/** Puts a saved state into slot 0. Errors: UserError with exit code 2 when it is of another model; nothing was changed then. */
export function loadState(network: Network, { stem, blocks }: NetworkState, saved: ModelState): void {
  const { backend, spec } = network
  const writes: [Tensor, Float32Array][] = []
  const check = (name: string, value: { length: number } | undefined, expected: number) => {
    if (value?.length === expected) return
    const text = `${name} has ${value?.length ?? 'no'} values, expected ${expected}`
    throw new UserError(`state of another model: ${text}`, exitCodes.usage)
  }
  if (!(Number.isSafeInteger(saved.position) && saved.position > 0))
    throw new UserError(`position of a state is ${saved.position}, expected a whole number above 0`, exitCodes.usage)
  check('layers', saved.layers, spec.blocks.length)
  check('stem', saved.stem, spec.stem.length)
  for (const [i, { window }] of spec.stem.entries()) {
    check(`stem ${i}`, saved.stem[i], window * stem[i].cols)
    writes.push([backend.rows(stem[i], 0, window), saved.stem[i]])
  }
  for (const [i, { mixer }] of network.blocks.entries()) {
    for (const [name, { rows, cols, transposed }] of Object.entries(mixer.states('forward'))) {
      const data = saved.layers[i][name]
      check(`${name} of layer ${i}`, data, rows * cols)
      writes.push([backend.rows(blocks[i].forward![name], 0, rows), transposed ? transpose(data, cols, rows) : data])
    }
  }
  for (const [x, data] of writes) backend.write(x, data)
}

/** [rows, cols] -> [cols, rows] */
function transpose(data: Float32Array, rows: number, cols: number): Float32Array {
  const flipped = new Float32Array(data.length)
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) flipped[j * rows + i] = data[i * cols + j]
  return flipped
}
