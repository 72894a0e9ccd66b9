import { readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import * as v from 'valibot'
import { exitCodes, UserError } from '../errors.js'
import type { Named } from '../output/overlap.js'
import { packageRoot } from '../runtime/package-root.js'
import type { ModelSpec } from '../spec.js'
import { didYouMean } from '../text/nearest.js'
import { openRecord, real, text } from '../text/schema.js'
import { Config } from './config.js'
import { broken } from './files.js'
import { checkSpec } from './spec-schema.js'
import { Tensors } from './tensors.js'

/** What `models list` and `models info` show. */
export interface ModelSummary {
  name: string
  folder: string
  description: string
  licence: string | null
  /** Parameters, and bytes of the weight files. */
  parameters: number
  bytes: number
  labels: string[]
  test: Record<string, number>
  /** Absent for layouts other than our own. */
  spec: ModelSpec | null
}

/** The models that come with longwave, or those of a site. */
const bundledFolder = () => process.env.LONGWAVE_MODELS ?? join(packageRoot, 'models')

/** Their names (every sub-folder with a config.json), sorted. */
export async function bundledModels(): Promise<string[]> {
  const folder = bundledFolder()
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
  const complete = await Promise.all(names.map((name) => isModel(join(folder, name))))
  return names.filter((_, i) => complete[i]).sort()
}

/**
 * The folder of a model: a bundled name, or a path to a folder with a config.json (a path has a separator, or is no
 * bundled name). Unknown: exit 69 with what there is. Undefined: exit 2 with what there is.
 */
export async function modelFolder(nameOrFolder: string | undefined): Promise<string> {
  const names = await bundledModels()
  if (nameOrFolder === undefined)
    throw new UserError(`which model? -m NAME or -m FOLDER; ${offer(names)}`, exitCodes.usage)
  if (names.includes(nameOrFolder)) return join(bundledFolder(), nameOrFolder)
  if (await isModel(nameOrFolder)) return nameOrFolder
  const isFolder = await stat(nameOrFolder).then(
    (s) => s.isDirectory(),
    () => false,
  )
  if (isFolder)
    throw new UserError(`${nameOrFolder}: no config.json in this folder, so it is no model`, exitCodes.unavailable)
  const hint = didYouMean(nameOrFolder, names) || ';'
  throw new UserError(`${nameOrFolder}: no such model${hint} ${offer(names)}`, exitCodes.unavailable)
}

/** A line for the person who may have meant the folder here, where a name is that of a bundled model; null otherwise. */
export async function shadowedFolder(name: string): Promise<string | null> {
  if (/[/\\]/.test(name) || !(await isModel(name)) || !(await bundledModels()).includes(name)) return null
  return `-m ${name} is the bundled model; the folder of that name here is -m ./${name}`
}

/** The files that a model is read from. */
export async function modelFiles(folder: string): Promise<Named[]> {
  const names = (await readdir(folder)).filter((name) =>
    /^config\.json$|\.(safetensors|bin)(\.index\.json)?$/.test(name),
  )
  return names.map((name) => ({ role: 'the model file', path: join(folder, name) }))
}

/** What our config.json says of a model besides its spec. */
const ownCard = openRecord({
  name: v.nullish(text(1000)),
  description: v.nullish(text(10_000)),
  licence: v.nullish(text(1000)),
  test: v.nullish(v.record(v.string(), real(-1e9, 1e9), 'an object'), {}),
})

const foreignKeys = openRecord({ model_type: v.nullish(text(100), 'unknown') })

const foreignCard = ({ model_type }: v.InferOutput<typeof foreignKeys>): v.InferOutput<typeof ownCard> => ({
  description: `checkpoint of type ${model_type}`,
  test: {},
})

/** Errors: 69, one line, for a config.json or weights that `openModel` would not take either. */
export async function summarizeModel(folder: string): Promise<ModelSummary> {
  const config = await Config.read(join(folder, 'config.json'))
  const own = config.values.format === 'longwave'
  const spec = own ? checkSpec(config.values.spec, (what) => broken(config.path, what)) : null
  const { head } = spec ?? {}
  const card = own ? config.as(ownCard) : foreignCard(config.as(foreignKeys))
  return {
    name: card.name ?? basename(folder),
    folder,
    description: card.description ?? '',
    licence: card.licence || null,
    ...(await measureWeights(folder)),
    labels: head?.kind === 'classes' ? head.labels : [],
    test: card.test,
    spec,
  }
}

const offer = (names: string[]) => (names.length === 0 ? 'no models are bundled' : `bundled are ${names.join(', ')}`)

const isModel = (folder: string) =>
  stat(join(folder, 'config.json')).then(
    (s) => s.isFile(),
    () => false,
  )

/** Counts what the loader would read, from the headers of its files; tensors that share their numbers once. */
async function measureWeights(folder: string): Promise<{ parameters: number; bytes: number }> {
  const tensors = await Tensors.open(folder)
  let [parameters, bytes] = [0, 0]
  for (const file of tensors.files) {
    bytes += (await stat(file.path)).size
    const places = new Map([...file.tensors.values()].map(({ begin, shape }) => [begin, shape]))
    for (const shape of places.values()) parameters += shape.reduce((product, n) => product * n, 1)
  }
  await tensors.close()
  return { parameters, bytes }
}
