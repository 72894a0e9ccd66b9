import { lstat, readdir, realpath, rm } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { exitCodes, UserError } from '../../errors.js'
import type { CachedRepo } from './cache.js'
import { contentsOf } from './contents.js'
import { cacheFolder } from './environment.js'
import { readListing } from './listing.js'
import { removeLeft } from './partial.js'

/** Removes a model from the cache, with all revisions. Links are removed, never what they lead to. Gives the bytes that this freed. */
export async function removeModel(repo: CachedRepo): Promise<number> {
  let freed = 0
  for (const folder of [repo.folder, join(cacheFolder(), '.locks', relative(cacheFolder(), repo.folder))])
    freed += await removeFolder(folder)
  return freed
}

/** Removes a commit of a model, the branches and tags that are there, and what no other commit uses. Gives the bytes that this freed. */
export async function removeCommit(repo: CachedRepo, commit: string): Promise<number> {
  const commits = await repo.commits()
  const others = commits.filter((other) => other !== commit)
  if (others.length === 0) return removeModel(repo)
  await checkInside(repo.blobs)
  const blobsOf = async (each: string) => (await contentsOf(repo, each)).flatMap(({ blob }) => blob ?? [])
  const used = new Set((await Promise.all(others.map(blobsOf))).flat())
  const listed = [...((await readListing(repo, commit))?.values() ?? [])].map(({ etag }) => repo.blob(etag))
  const own = new Set([...(await blobsOf(commit)), ...listed].filter((blob) => !used.has(blob)))
  let freed = 0
  for (const folder of [repo.snapshot(commit), join(repo.folder, '.no_exist', commit)])
    freed += await removeFolder(folder)
  for (const blob of own) {
    freed += await bytesBelow(blob)
    await rm(blob, { force: true })
    await removeLeft(blob)
  }
  for (const [ref, at] of await repo.refs()) if (at === commit) await repo.removeRef(ref)
  await rm(repo.tree(commit), { force: true })
  return freed
}

async function removeFolder(folder: string): Promise<number> {
  if (!(await exists(folder))) return 0
  await checkInside(folder)
  const bytes = await bytesBelow(folder)
  await rm(folder, { recursive: true, force: true })
  return bytes
}

/** Errors: 69 for what a link on the way leads out of the cache, or elsewhere in it. */
async function checkInside(path: string): Promise<void> {
  const expected = join(await realpath(cacheFolder()), relative(cacheFolder(), path))
  if ((await realpath(path)) === expected) return
  throw new UserError(`${path}: is a link or lies behind one, so it is not removed`, exitCodes.unavailable)
}

/** Of files, not of what links lead to. */
async function bytesBelow(path: string): Promise<number> {
  const found = await lstat(path).catch(() => null)
  if (found === null) return 0
  if (!found.isDirectory()) return found.isFile() ? found.size : 0
  const inside = await Promise.all((await readdir(path)).map((name) => bytesBelow(join(path, name))))
  return inside.reduce((sum, bytes) => sum + bytes, 0)
}

const exists = (path: string) =>
  lstat(path).then(
    () => true,
    () => false,
  )
