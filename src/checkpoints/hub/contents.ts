import { readdir, readlink, stat } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'
import type { CachedRepo } from './cache.js'
import { readListing } from './listing.js'

/** A file of a snapshot in the cache. */
export interface CachedFile {
  /** In the snapshot, with the folders that it is in there. */
  name: string
  path: string
  /** The hash that it has to have; null: nothing says it. */
  etag: string | null
  /** The blob that it is a link to; null: it is no link, or one to elsewhere. */
  blob: string | null
  /** null: it is a link to nothing. */
  bytes: number | null
}

/** All files of a snapshot, whoever brought them, by name. */
export async function contentsOf(repo: CachedRepo, commit: string): Promise<CachedFile[]> {
  const folder = repo.snapshot(commit)
  const listing = await readListing(repo, commit)
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  const files = entries
    .filter((entry) => entry.isFile() || entry.isSymbolicLink())
    .map(async (entry) => {
      const path = join(entry.parentPath, entry.name)
      const name = relative(folder, path).replaceAll('\\', '/')
      const target = entry.isSymbolicLink() ? resolve(dirname(path), await readlink(path)) : null
      const blob = target !== null && dirname(target) === resolve(repo.blobs) ? target : null
      const hash = blob === null ? listing?.get(name)?.etag : basename(blob)
      const etag = hash !== undefined && /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(hash) ? hash : null
      const found = await stat(path).catch(() => null)
      return { name, path, etag, blob, bytes: found?.size ?? null }
    })
  return (await Promise.all(files)).sort((a, b) => (a.name < b.name ? -1 : 1))
}
