import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { exitCodes, UserError } from '../errors.js'
import type { Weights } from '../layers/params.js'
import type { ModelSpec } from '../spec.js'
import type { Layout } from './layout.js'
import { writeSafetensors, writeWhole } from './safetensors-write.js'
import { weightShapes } from './weight-shapes.js'

/** Our own layout: config.json holds the spec under `spec`, model.safetensors the weights by their normalised names. */
export const own: Layout = {
  name: 'longwave',
  recognise: (config) => config.values.format === 'longwave',

  spec: async (config) => config.values.spec,

  async weights(tensors, spec): Promise<Weights> {
    const weights: Weights = new Map()
    for (const { name, rows, cols, optional } of weightShapes(spec)) {
      if (optional && !tensors.has(name)) continue
      weights.set(name, await tensors.weight(name, [rows, cols]))
    }
    return weights
  },
}

/** Metadata of the weights that longwave writes: by it training knows its own file again. `pt` is what transformers asks for. */
export const ownMetadata = { format: 'pt', writer: 'longwave' }

const storedAs = { f32: 'F32', f16: 'F16', bf16: 'BF16' } as const

/**
 * Writes a model folder that `openCheckpoint` reads; both files appear by rename, config.json last. `extras` are further
 * keys of config.json: name, description, training, licence. `replace`: existing files. Errors: 73, 74.
 */
export async function saveCheckpoint(
  folder: string,
  spec: ModelSpec,
  weights: Weights,
  extras: Record<string, unknown> = {},
  replace = true,
): Promise<void> {
  const tensors = weightShapes(spec).flatMap(({ name, rows, cols, optional }) => {
    const weight = weights.get(name)
    if (!weight && optional) return []
    if (weight?.rows !== rows || weight.cols !== cols) {
      throw new Error(`weight ${name} is [${weight?.rows}, ${weight?.cols}], expected [${rows}, ${cols}]`)
    }
    return [{ name, dtype: storedAs[weight.dtype], shape: [rows, cols], data: weight.data }]
  })
  await mkdir(folder, { recursive: true }).catch((error: Error) => {
    throw new UserError(`cannot create ${folder}: ${error.message}`, exitCodes.cannotCreate)
  })
  await writeSafetensors(join(folder, 'model.safetensors'), tensors, ownMetadata, replace)
  const config = { format: 'longwave', ...extras, spec }
  await writeWhole(join(folder, 'config.json'), [Buffer.from(`${JSON.stringify(config, null, 2)}\n`)], replace)
}
