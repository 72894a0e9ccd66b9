import type { Backend, Tensor } from '../backends/backend.js'
import { exitCodes, UserError } from '../errors.js'
import type { MixerState, StateShape } from '../layers/mixers/mixer.js'
import type { Network, NetworkState } from './network.js'

/**
 * What a causal model carries from one call to the next, on the host, in the shapes and by the names of the official code: of a Mamba
 * `conv` [E, K], the last K raw inputs of the convolution, the newest last, zero where there were none, and `ssm` [E, N]; of attention
 * `key_cache` and `value_cache` [heads, rows so far, width], of a window the last rows of it.
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
    for (const [name, { rows, cols, transposed, cache }] of Object.entries(mixer.states('forward'))) {
      const data = await first(blocks[i].forward![name], rows)
      layer[name] = cache
        ? fromCache(data, cache, position / network.stride)
        : transposed
          ? transpose(data, rows, cols)
          : data
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
  const writes: (() => void)[] = []
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
    writes.push(() => backend.write(backend.rows(stem[i], 0, window), saved.stem[i]))
  }
  for (const [i, { mixer }] of network.blocks.entries()) {
    const state = blocks[i].forward!
    for (const [name, { rows, cols, transposed, cache }] of Object.entries(mixer.states('forward'))) {
      const data = saved.layers[i][name]
      check(`${name} of layer ${i}`, data, cache ? cacheNumbers(cache, saved.position / network.stride) : rows * cols)
      writes.push(() => {
        if (cache) putCache(backend, state, name, toCache(data, cache, saved.position / network.stride))
        else backend.write(backend.rows(state[name], 0, rows), transposed ? transpose(data, cols, rows) : data)
      })
    }
  }
  for (const write of writes) write()
}

type Cache = NonNullable<StateShape['cache']>

/** Rows that a cache holds of a sequence of so many. */
const rowsHeld = ({ most }: Cache, length: number): number => Math.min(most, length)

const cacheNumbers = (cache: Cache, position: number): number => rowsHeld(cache, position) * cache.heads * cache.width

/** From places in turn [any, heads, width] to [heads, rows, width], the oldest first. */
function fromCache(data: Float32Array, cache: Cache, position: number): Float32Array {
  const { heads, width } = cache
  const [rows, capacity] = [rowsHeld(cache, position), data.length / heads / width]
  const out = new Float32Array(rows * heads * width)
  for (let r = 0; r < rows; r++) {
    const from = ((position - rows + r) % capacity) * heads * width
    for (let h = 0; h < heads; h++)
      out.set(data.subarray(from + h * width, from + (h + 1) * width), (h * rows + r) * width)
  }
  return out
}

/** The reverse, in a cache of just these rows. */
function toCache(data: Float32Array, cache: Cache, position: number): Float32Array {
  const { heads, width } = cache
  const rows = rowsHeld(cache, position)
  const out = new Float32Array(data.length)
  for (let r = 0; r < rows; r++) {
    const to = ((position - rows + r) % rows) * heads * width
    for (let h = 0; h < heads; h++)
      out.set(data.subarray((h * rows + r) * width, (h * rows + r + 1) * width), to + h * width)
  }
  return out
}

/** Puts a cache in the place of that of slot 0, the only one. */
function putCache(b: Backend, state: MixerState, name: string, data: Float32Array): void {
  if (state[name].rows !== 1) throw new Error('a saved cache goes into a session of one slot')
  b.release(state[name])
  state[name] = b.upload(data, 1, data.length)
}

/** [rows, cols] -> [cols, rows] */
function transpose(data: Float32Array, rows: number, cols: number): Float32Array {
  const flipped = new Float32Array(data.length)
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) flipped[j * rows + i] = data[i * cols + j]
  return flipped
}
