import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { exitCodes, UserError } from '../errors.js'
import type { ModelSpec, Weights } from '../spec.js'
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
      weights.set(name, await tensors.matrix(name, rows, cols))
    }
    return weights
  },
}

/** Metadata of the weights that longwave writes: by it training knows its own file again. `pt` is what transformers asks for. */
export const ownMetadata = { format: 'pt', writer: 'longwave' }

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
    const matrix = weights.get(name)
    if (!matrix && optional) return []
    if (matrix?.rows !== rows || matrix.cols !== cols) {
      throw new Error(`weight ${name} is [${matrix?.rows}, ${matrix?.cols}], expected [${rows}, ${cols}]`)
    }
    return [{ name, dtype: 'F32' as const, shape: [rows, cols], data: matrix.data }]
  })
  await mkdir(folder, { recursive: true }).catch((error: Error) => {
    throw new UserError(`cannot create ${folder}: ${error.message}`, exitCodes.cannotCreate)
  })
  await writeSafetensors(join(folder, 'model.safetensors'), tensors, ownMetadata, replace)
  const config = { format: 'longwave', ...extras, spec }
  await writeWhole(join(folder, 'config.json'), [Buffer.from(`${JSON.stringify(config, null, 2)}\n`)], replace)
}
