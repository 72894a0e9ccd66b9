import { randomBytes } from 'node:crypto'
import { mkdir, rename, rm, stat, statfs, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { exitCodes, UserError } from '../../errors.js'
import { reason } from '../../runtime/file-bytes.js'
import { printable, shortened } from '../../text/printable.js'
import { sizeText } from '../../text/size.js'
import { isFile } from '../files.js'
import { shardsOf, weightFiles } from '../tensors.js'
import { CachedRepo } from './cache.js'
import { HubClient, type PullWatcher, Unreachable } from './client.js'
import { download } from './download.js'
import { cacheFolder, offline, symlinksDisabled } from './environment.js'
import { showLicence } from './licence.js'
import { type HubFile, type Listing, listingOf, readListing, writeListing } from './listing.js'
import { type HubName, hubNameText, isCommit } from './name.js'
import { leftBytes } from './partial.js'
import { isWhole, wantedFiles } from './wanted.js'

/**
 * The folder of a model in the cache, brought there first if need be. A commit that is there is taken without a look at the hub; of a
 * branch or a tag the hub is asked where it is, and the cache answers for a hub that cannot be reached. Errors: 69; 73 without room.
 */
export async function hubModel(name: HubName, watcher: PullWatcher = {}): Promise<string> {
  const repo = new CachedRepo(name.repo)
  const folder = await foundOrPulled(repo, name, watcher)
  await showLicence(repo, folder, watcher)
  return folder
}

async function foundOrPulled(repo: CachedRepo, name: HubName, watcher: PullWatcher): Promise<string> {
  const known = await wholeSnapshot(repo, await repo.commitOf(name.revision))
  if (offline() && known === null) throw notHere(name)
  if (known !== null && (offline() || isCommit(name.revision))) return known
  const commit = await commitNow(name)
  // A pull tries more often.
  if (commit instanceof Unreachable)
    return known === null ? pullModel(name, watcher) : insteadOf(commit, known, watcher)
  const there = await wholeSnapshot(repo, commit)
  if (there === null) return pullModel(name, watcher)
  await repo.setRef(name.revision, commit).catch(() => {}) // the cache may be read-only
  if ((await readListing(repo, commit)) !== null) return there
  // What Python has brought may lack the card or the tokenizer: the list of files tells, once.
  return pullModel(name, watcher).catch((error) => insteadOf(error, there, watcher))
}

/** Where the hub says that a revision is, asked once. Errors: 69 for a revision that there is not. */
async function commitNow(name: HubName): Promise<string | Unreachable> {
  const client = await HubClient.open(name, {})
  try {
    return await client.commit()
  } catch (error) {
    if (error instanceof Unreachable) return error
    throw error
  } finally {
    await client.close()
  }
}

function insteadOf(error: unknown, folder: string, { note }: PullWatcher): string {
  if (!(error instanceof UserError)) throw error
  note?.(`${error.message}; what the cache has of it is used`)
  return folder
}

/** The folder of a commit, if all that is read is there. */
export async function wholeSnapshot(repo: CachedRepo, commit: string | null): Promise<string | null> {
  if (commit === null) return null
  const folder = repo.snapshot(commit)
  if (!(await isWhole(folder))) return null
  const listing = await readListing(repo, commit)
  const names = wantedFiles(new Set(listing?.keys())).first
  const there = await Promise.all(names.map((name) => isFile(join(folder, name))))
  return there.every(Boolean) ? folder : null
}

/** The folder of a model in the cache, without a look at the hub. Errors: 69 where it is not there, or not all of it. */
export async function cachedFolder(name: HubName): Promise<string> {
  const repo = new CachedRepo(name.repo)
  const folder = await wholeSnapshot(repo, await repo.commitOf(name.revision))
  if (folder !== null) return folder
  throw new UserError(
    `${hubNameText(name)}: not in ${cacheFolder()}, or not all of it: longwave models pull ${hubNameText(name)} brings it there`,
    exitCodes.unavailable,
  )
}

const notHere = (name: HubName) =>
  new UserError(
    `${hubNameText(name)}: not in ${cacheFolder()}, and HF_HUB_OFFLINE is set; where there is a network: longwave models pull ${hubNameText(name)}`,
    exitCodes.unavailable,
  )

/** Brings what a model is read from into the cache, as far as it is not there, and gives its folder there. Errors: 69; 73 without room for it. */
export async function pullModel(name: HubName, watcher: PullWatcher = {}): Promise<string> {
  if (offline()) throw new UserError('HF_HUB_OFFLINE is set: nothing is pulled', exitCodes.unavailable)
  const client = await HubClient.open(name, watcher)
  try {
    const { commit, listing } = listingOf(await client.describe(), `${client.page} (its list of files)`)
    return await new Pull(name, client, commit, listing, watcher).run()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error
    throw new UserError(`${cacheFolder()}: cannot be written to: ${reason(error)}`, exitCodes.cannotCreate)
  } finally {
    await client.close()
  }
}

class Pull {
  private readonly repo: CachedRepo
  private readonly folder: string
  private linked = true
  private total = 0
  private before = 0
  private bytes = 0

  constructor(
    private readonly name: HubName,
    private readonly client: HubClient,
    private readonly commit: string,
    private readonly listing: Listing,
    private readonly watcher: PullWatcher,
  ) {
    this.repo = new CachedRepo(name.repo)
    this.folder = this.repo.snapshot(commit)
  }

  async run(): Promise<string> {
    const { first, index, weights } = wantedFiles(new Set(this.listing.keys()))
    if (!first.includes('config.json')) throw this.lacks('config.json')
    if (index === undefined && weights.length === 0) throw this.lacks(weightFiles.join(' or '))
    for (const folder of [this.repo.blobs, this.folder]) await mkdir(folder, { recursive: true })
    this.linked = await symlinksWork(this.repo.blobs)
    await writeListing(this.repo, this.commit, this.listing)
    await this.bring(first)
    // Before the weights, which may take an hour, and with the card at hand, which says it.
    await showLicence(this.repo, this.folder, this.watcher)
    await this.bring(index === undefined ? weights : await shardsOf(join(this.folder, index)))
    // Now that all of it is there the name means it.
    await this.repo.setRef(this.name.revision, this.commit)
    return this.folder
  }

  private async bring(names: string[]): Promise<void> {
    const files = names.map((name) => this.listed(name))
    let [missing, left] = [0, 0]
    for (const file of files) {
      const destination = this.destination(file)
      const there = (await bytesOf(destination)) === file.bytes
      const have = there ? file.bytes : Math.min(file.bytes, await leftBytes(destination))
      missing += file.bytes - have
      left += have
    }
    this.total += files.reduce((sum, { bytes }) => sum + bytes, 0)
    this.bytes += left
    this.before += left
    await this.checkRoom(missing)
    for (const file of files) await this.place(file)
  }

  /** A file gets its place in the snapshot: the link to its contents, or where there are no links, the contents. */
  private async place(file: HubFile): Promise<void> {
    const [place, destination] = [join(this.folder, file.name), this.destination(file)]
    if ((await bytesOf(place)) === file.bytes) return
    if ((await bytesOf(destination)) !== file.bytes)
      await download(this.client, this.commit, file, destination, (bytes) => {
        this.bytes += bytes
        this.watcher.progress?.(this.bytes, this.total, this.before)
      })
    if (!this.linked) return
    const temporary = `${place}.${randomBytes(4).toString('hex')}.tmp`
    await symlink(join('..', '..', 'blobs', file.etag), temporary)
    await rename(temporary, place)
  }

  private destination({ name, etag }: HubFile): string {
    return this.linked ? this.repo.blob(etag) : join(this.folder, name)
  }

  private listed(name: string): HubFile {
    const file = this.listing.get(name)
    // Shards are named by a file from outside.
    if (file === undefined || !/^\w[\w.-]*$/.test(name)) throw this.lacks(printable(shortened(name, 100)))
    return file
  }

  private lacks(what: string): UserError {
    return new UserError(`${hubNameText(this.name)}: ${this.client.page} has no ${what}`, exitCodes.unavailable)
  }

  private async checkRoom(bytes: number): Promise<void> {
    const { bavail, bsize } = await statfs(this.repo.blobs)
    if (bytes <= bavail * bsize) return
    throw new UserError(
      `${hubNameText(this.name)}: takes ${sizeText(bytes)}, and ${this.repo.folder} has room for ${sizeText(bavail * bsize)}; HF_HOME names another place`,
      exitCodes.cannotCreate,
    )
  }
}

/** Bytes of a file, or of what a link leads to; null: there is none. */
const bytesOf = (path: string) =>
  stat(path).then(
    ({ size }) => size,
    () => null,
  )

/** Windows lets few people make links, and some file systems have none. */
async function symlinksWork(folder: string): Promise<boolean> {
  if (symlinksDisabled()) return false
  const link = join(folder, `.${randomBytes(4).toString('hex')}.link`)
  return symlink('nowhere', link).then(
    () => rm(link).then(() => true),
    () => false,
  )
}
