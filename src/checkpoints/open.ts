import { join } from 'node:path'
import type { Weights } from '../layers/params.js'
import type { ModelSpec } from '../spec.js'
import { inWords } from '../text/schema.js'
import { Config } from './config.js'
import { broken, isFolder } from './files.js'
import type { Layout } from './layout.js'
import { layouts } from './layouts.js'
import { checkSpec } from './spec-schema.js'
import { Tensors } from './tensors.js'

export interface Checkpoint {
  spec: ModelSpec
  weights: Weights
  /** config.json as it is, with keys of the layout's own: name, description, licence ... */
  config: Record<string, unknown>
  /** Name of the layout. */
  layout: string
  folder: string
}

/**
 * Reads a model folder of any known layout (layouts.ts). Errors: 69, one line, when there is no such model, its layout
 * is unknown, or a tensor is missing, misshapen or left over.
 */
export const openCheckpoint = (folder: string): Promise<Checkpoint> =>
  withLayout(folder, async (layout, config, tensors, spec) => {
    const weights = await layout.weights(tensors, spec, config)
    tensors.checkAllUsed()
    return { spec, weights, config: { ...config.values }, layout: layout.name, folder }
  })

/** The description of the model in a folder, without its weights. Errors: see `openCheckpoint`. */
export const readSpec = (folder: string): Promise<ModelSpec> => withLayout(folder, async (_l, _c, _t, spec) => spec)

async function withLayout<Result>(
  folder: string,
  use: (layout: Layout, config: Config, tensors: Tensors, spec: ModelSpec) => Promise<Result>,
): Promise<Result> {
  if (!(await isFolder(folder))) throw broken(folder, 'no such model folder')
  const config = await Config.read(join(folder, 'config.json'))
  const tensors = await Tensors.open(folder)
  try {
    const layout = layoutOf(config, tensors)
    const spec = checkSpec(await layout.spec(config, tensors), (what) => broken(config.path, what))
    return await use(layout, config, tensors, spec)
  } finally {
    await tensors.close()
  }
}

function layoutOf(config: Config, tensors: Tensors): Layout {
  const layout = layouts.find((each) => each.recognise(config, tensors))
  if (layout) return layout
  const { model_type: kind } = config.values
  const known = layouts.map(({ name }) => name).join(', ')
  const found = kind ? `model_type ${inWords(kind)}` : 'this model'
  throw broken(config.path, `${found} is not supported; layouts: ${known}`)
}
