import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import * as v from 'valibot'
import { exitCodes, UserError } from '../errors.js'
import type { Named } from '../output/overlap.js'
import { packageRoot } from '../runtime/package-root.js'
import type { ModelSpec } from '../spec.js'
import { didYouMean } from '../text/nearest.js'
import { openRecord, real, text } from '../text/schema.js'
import { Config } from './config.js'
import { broken, isFile, isFolder } from './files.js'
import { CachedRepo, cachedPlace } from './hub/cache.js'
import type { PullWatcher } from './hub/client.js'
import { licenceOf } from './hub/licence.js'
import { type HubName, parseHubName } from './hub/name.js'
import { hubModel } from './hub/pull.js'
import { layouts } from './layouts.js'
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
  /** The name of its layout, and what it is; null where longwave reads none like it. */
  layout: string | null
  spec: ModelSpec | null
  /** Of one in the cache of the hub: its commit, and the branches and tags that were there last. */
  commit?: string
  refs?: string[]
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
 * The folder of a model: a bundled name, a path to a folder with a config.json, or ORG/NAME on the hub, which is brought into the cache. The
 * first of these that there is: a line says so where the name could mean another. Unknown: exit 69 with what there is. Undefined: exit 2 with
 * what there is.
 */
export async function modelFolder(nameOrFolder: string | undefined, watcher: PullWatcher = {}): Promise<string> {
  const place = await localModel(nameOrFolder, watcher)
  return typeof place === 'string' ? place : hubModel(place, watcher)
}

/** The folder of a bundled model or of one in a folder, or the name of one on the hub, of which nothing is asked. Errors as above. */
export async function localModel(
  nameOrFolder: string | undefined,
  { note }: Pick<PullWatcher, 'note'> = {},
): Promise<string | HubName> {
  const names = await bundledModels()
  if (nameOrFolder === undefined)
    throw new UserError(`which model? -m NAME, -m FOLDER or -m ORG/NAME; ${offer(names)}`, exitCodes.usage)
  const folder = await isModel(nameOrFolder)
  const hub = parseHubName(nameOrFolder)
  if (names.includes(nameOrFolder)) {
    if (folder) note?.(`-m ${nameOrFolder} is the bundled model; the folder of that name here is -m ./${nameOrFolder}`)
    return join(bundledFolder(), nameOrFolder)
  }
  const main = `${hub?.repo}@main`
  if (folder) {
    if (hub !== null && (await new CachedRepo(hub.repo).commits()).length > 0)
      note?.(`-m ${nameOrFolder} is the folder here; the model of the hub is -m ${main}`)
    return nameOrFolder
  }
  if (await isFolder(nameOrFolder)) {
    const other = hub === null ? '' : `; the model of the hub is ${main}`
    throw new UserError(
      `${nameOrFolder}: no config.json in this folder, so it is no model${other}`,
      exitCodes.unavailable,
    )
  }
  // A mistyped path is nothing to tell a hub.
  const mistyped = !nameOrFolder.includes('@') && (await isFolder(dirname(nameOrFolder)))
  if (hub !== null && (!mistyped || (await new CachedRepo(hub.repo).commits()).length > 0)) return hub
  const hint = hub === null ? didYouMean(nameOrFolder, names) || ';' : ` in the folder here; one of the hub is ${main};`
  throw new UserError(`${nameOrFolder}: no such model${hint} ${offer(names)}`, exitCodes.unavailable)
}

/** The files that a model is read from. */
export async function modelFiles(folder: string): Promise<Named[]> {
  const names = (await readdir(folder)).filter((name) =>
    /^(generation_|tokenizer_)?config\.json$|^tokenizer\.json$|\.(safetensors|bin)(\.index\.json)?$/.test(name),
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

/** Errors: 69, one line, for a config.json or weights that `openModel` would not take either. */
export async function summarizeModel(folder: string): Promise<ModelSummary> {
  const config = await Config.read(join(folder, 'config.json'))
  const own = config.values.format === 'longwave'
  const check = (spec: unknown) => checkSpec(spec, (what) => broken(config.path, what))
  // Before the weights, of which it says what they have to be.
  const ownSpec = own ? check(config.values.spec) : null
  const card = own ? config.as(ownCard) : await foreignCard(config, folder)
  const tensors = await Tensors.open(folder)
  try {
    const layout = layouts.find((each) => each.recognise(config, tensors)) ?? null
    const spec = ownSpec ?? (layout && check(await layout.spec(config, tensors)))
    const { head } = spec ?? {}
    const place = cachedPlace(folder)
    return {
      name: place?.repo ?? card.name ?? basename(folder),
      folder,
      description: card.description ?? '',
      licence: card.licence || null,
      ...(await measureWeights(tensors)),
      labels: head?.kind === 'classes' ? head.labels : [],
      test: card.test,
      layout: layout?.name ?? null,
      spec,
      ...(place && { commit: place.revision, refs: await refsOf(place) }),
    }
  } finally {
    await tensors.close()
  }
}

async function foreignCard(config: Config, folder: string): Promise<v.InferOutput<typeof ownCard>> {
  const { model_type } = config.as(foreignKeys)
  return { description: `checkpoint of type ${model_type}`, licence: await licenceOf(folder), test: {} }
}

async function refsOf({ repo, revision: commit }: HubName): Promise<string[]> {
  const refs = await new CachedRepo(repo).refs()
  return [...refs].filter(([, at]) => at === commit).map(([ref]) => ref)
}

const offer = (names: string[]) => (names.length === 0 ? 'no models are bundled' : `bundled are ${names.join(', ')}`)

const isModel = (folder: string) => isFile(join(folder, 'config.json'))

/** Counts what the loader would read, from the headers of its files; tensors that share their numbers once. */
async function measureWeights({ files }: Tensors): Promise<{ parameters: number; bytes: number }> {
  let [parameters, bytes] = [0, 0]
  for (const file of files) {
    bytes += (await stat(file.path)).size
    const places = new Map([...file.tensors.values()].map(({ begin, shape }) => [begin, shape]))
    for (const shape of places.values()) parameters += shape.reduce((product, n) => product * n, 1)
  }
  return { parameters, bytes }
}
