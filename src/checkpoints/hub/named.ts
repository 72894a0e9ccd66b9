import { exitCodes, UserError } from '../../errors.js'
import { CachedRepo } from './cache.js'
import { cacheFolder } from './environment.js'
import { hubName } from './name.js'

export interface CachedCommits {
  repo: CachedRepo
  commits: string[]
}

/** The commits in the cache that `ORG/NAME@REVISION` means, or all of `ORG/NAME`. Errors: 2 for no such name, 69 where there is none. */
export async function cachedCommits(text: string): Promise<CachedCommits> {
  const name = hubName(text)
  const repo = new CachedRepo(name.repo)
  const all = await repo.commits()
  const commit = await repo.commitOf(name.revision)
  const commits = text.includes('@') ? all.filter((each) => each === commit) : all
  if (commits.length > 0) return { repo, commits }
  throw new UserError(`${text}: not in ${cacheFolder()}`, exitCodes.unavailable)
}
