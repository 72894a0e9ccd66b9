import { UserError } from '../errors.js'
import { bundledModels, type ModelSummary, modelFolder, summarizeModel } from './catalogue.js'
import { type CachedRepo, cachedPlace, cachedRepos } from './hub/cache.js'
import { shownLicence } from './hub/licence.js'
import { wholeSnapshot } from './hub/pull.js'

/** A folder of a model that cannot be opened, and why. */
export interface BrokenModel {
  name: string
  folder: string
  state: 'broken' | 'unfinished'
  error: string
}

export interface ModelList {
  models: (ModelSummary | BrokenModel)[]
  /** How many in the cache of the hub are of kinds that longwave does not read, or were begun by others. */
  others: number
}

/** The bundled models and those in the cache of the hub, commit by commit. */
export async function listModels(): Promise<ModelList> {
  const list: ModelList = { models: [], others: 0 }
  for (const name of await bundledModels()) list.models.push(await summary(name, await modelFolder(name)))
  for (const repo of await cachedRepos())
    for (const commit of await repo.commits()) {
      const model = await cachedModel(repo, commit)
      if (model === null) list.others++
      else list.models.push(model)
    }
  return list
}

/** The names of those in the cache that `listModels` lists. */
export async function cachedNames(): Promise<string[]> {
  const { models } = await listModels()
  return [...new Set(models.flatMap(({ folder }) => cachedPlace(folder)?.repo ?? []))]
}

async function cachedModel(repo: CachedRepo, commit: string): Promise<ModelSummary | BrokenModel | null> {
  const folder = repo.snapshot(commit)
  const whole = (await wholeSnapshot(repo, commit)) !== null
  const unfinished = {
    name: repo.repo,
    folder,
    state: 'unfinished',
    error: `models pull ${repo.repo} goes on`,
  } as const
  const model = whole ? await summary(repo.repo, folder) : unfinished
  if ('error' in model) return (await shownLicence(repo)) === null ? null : model
  return model.layout === null ? null : model
}

const summary = (name: string, folder: string): Promise<ModelSummary | BrokenModel> =>
  summarizeModel(folder).catch((error) => {
    if (!(error instanceof UserError)) throw error
    return { name, folder, state: 'broken', error: error.message }
  })
