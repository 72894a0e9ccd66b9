import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { cacheFolder } from './environment.js'
import { type HubName, isCommit, parseHubName } from './name.js'

/**
 * A repository in the cache, laid out as Python's huggingface_hub does:
 *
 *     models--ORG--NAME/blobs/ETAG             contents, each by its hash
 *     models--ORG--NAME/snapshots/COMMIT/FILE  links to them
 *     models--ORG--NAME/refs/main              the commit that a branch or a tag had last
 *     models--ORG--NAME/trees/COMMIT.json      what a commit holds (listing.ts)
 */
export class CachedRepo {
  readonly folder: string
  readonly blobs: string

  constructor(readonly repo: string) {
    this.folder = join(cacheFolder(), `models--${repo.replace('/', '--')}`)
    this.blobs = join(this.folder, 'blobs')
  }

  snapshot(commit: string): string {
    return join(this.folder, 'snapshots', commit)
  }

  blob(etag: string): string {
    return join(this.blobs, etag)
  }

  /** The file that says what a commit holds. */
  tree(commit: string): string {
    return join(this.folder, 'trees', `${commit}.json`)
  }

  /** The commit of a revision as far as the cache knows; null: it does not. */
  async commitOf(revision: string): Promise<string | null> {
    if (isCommit(revision)) return revision
    const text = await readFile(this.ref(revision), 'utf8').catch(() => '')
    return isCommit(text.trim()) ? text.trim() : null
  }

  /** A revision is at this commit from now on. */
  async setRef(revision: string, commit: string): Promise<void> {
    if (isCommit(revision) || (await this.commitOf(revision)) === commit) return
    await writeWhole(this.ref(revision), commit)
  }

  removeRef(revision: string): Promise<void> {
    return rm(this.ref(revision), { force: true })
  }

  /** Every branch and tag that the cache knows, and its commit. */
  async refs(): Promise<Map<string, string>> {
    const refs = new Map<string, string>()
    const files = await readdir(join(this.folder, 'refs'), { recursive: true, withFileTypes: true }).catch(() => [])
    for (const file of files) {
      if (!file.isFile()) continue
      const revision = relative(join(this.folder, 'refs'), join(file.parentPath, file.name)).replaceAll('\\', '/')
      const commit = await this.commitOf(revision)
      if (commit !== null) refs.set(revision, commit)
    }
    return refs
  }

  /** Commits of which there are files, sorted. */
  async commits(): Promise<string[]> {
    const names = await readdir(join(this.folder, 'snapshots')).catch(() => [])
    return names.filter(isCommit).sort()
  }

  private ref(revision: string): string {
    return join(this.folder, 'refs', ...revision.split('/'))
  }
}

/** Every repository of a model in the cache, sorted by name. */
export async function cachedRepos(): Promise<CachedRepo[]> {
  const names = await readdir(cacheFolder()).catch(() => [])
  const repos = names.map((name) => /^models--(.+?)--(.+)$/.exec(name)?.slice(1).join('/') ?? '')
  return repos
    .filter((repo) => parseHubName(repo) !== null)
    .sort()
    .map((repo) => new CachedRepo(repo))
}

/** The model and the commit whose folder in the cache this is; null: it is none. */
export function cachedPlace(folder: string): HubName | null {
  const [, org, name] = /^models--(.+?)--(.+)$/.exec(basename(dirname(dirname(folder)))) ?? []
  const commit = basename(folder)
  if (org === undefined || basename(dirname(folder)) !== 'snapshots' || !isCommit(commit)) return null
  return { repo: `${org}/${name}`, revision: commit }
}

/** Writes a small file that others may read at any moment: they see all of it, or what was there before. */
export async function writeWhole(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`
  await writeFile(temporary, text)
  await rename(temporary, path)
}
