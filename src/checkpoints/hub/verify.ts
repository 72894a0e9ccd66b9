import { open, realpath } from 'node:fs/promises'
import { contentsOf } from './contents.js'
import { digestLike } from './digest.js'
import type { CachedCommits } from './named.js'

export interface Verified {
  model: string
  commit: string
  file: string
  /** Where its contents are. */
  path: string
  /** `unknown`: nothing says which hash it has to have. */
  state: 'ok' | 'damaged' | 'missing' | 'unknown'
}

/** Hashes every file of these commits in the cache: what several share, once. `progress` is told how many bytes of how many were read. */
export async function verifyCached(
  models: readonly CachedCommits[],
  progress: (bytes: number, total: number) => void,
): Promise<Verified[]> {
  const rows: (Verified & { etag: string | null })[] = []
  const sizes = new Map<string, number>()
  for (const { repo, commits } of models)
    for (const commit of commits)
      for (const { name: file, path, etag, bytes } of await contentsOf(repo, commit)) {
        const place = bytes === null ? path : await realpath(path)
        if (bytes !== null && etag !== null) sizes.set(place, bytes)
        const state = bytes === null ? 'missing' : 'unknown'
        rows.push({ model: repo.repo, commit, file, path: place, state, etag })
      }
  const total = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0)
  let done = 0
  const took = (bytes: number) => {
    done += bytes
    progress(done, total)
  }
  const digests = new Map<string, string>()
  for (const row of rows) {
    if (row.etag === null || row.state === 'missing') continue
    const digest = digests.get(row.path) ?? (await digestOf(row.path, row.etag, took))
    digests.set(row.path, digest)
    row.state = digest === row.etag ? 'ok' : 'damaged'
  }
  return rows.map(({ etag, ...row }) => row)
}

async function digestOf(path: string, etag: string, took: (bytes: number) => void): Promise<string> {
  const file = await open(path)
  try {
    return await digestLike(etag, file, took)
  } finally {
    await file.close()
  }
}
