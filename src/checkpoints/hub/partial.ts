import { randomBytes } from 'node:crypto'
import { constants, renameSync, rmSync, statSync } from 'node:fs'
import { copyFile, type FileHandle, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { isFile } from '../files.js'

/** Milliseconds after which a file that nobody touches has no owner any more, and between two touches of one that has. */
const abandonedAfter = 60_000
const touchEvery = 15_000

/** Those of this process. */
const owned = new Set<PartialFile>()

/**
 * The part of a file that has come, beside the place where the whole will be. It has one writer, ever: its name says that it is taken. Who gives
 * it up, on every exit that a process can catch, gives it the name under which the next one finds it, and only one can rename it. Where
 * the owner was killed or hangs, the next one goes on with a copy.
 *
 * Not taken up: what Python left. Its versions before 2 give all processes one file, and a lock that Node cannot hold.
 */
export class PartialFile {
  private readonly touching: NodeJS.Timeout

  private constructor(
    private readonly left: string,
    private readonly path: string,
    readonly file: FileHandle,
  ) {
    this.touching = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => {}), touchEvery).unref()
    if (owned.size === 0) process.on('exit', leaveAll)
    owned.add(this)
  }

  /** Takes up what there is of `destination`, or begins. Errors: those of the system. */
  static async take(destination: string): Promise<PartialFile> {
    const left = leftName(destination)
    const path = `${destination}.${randomBytes(4).toString('hex')}.longwave.incomplete`
    await rename(left, path).catch(() => takeAbandoned(destination, path))
    return new PartialFile(left, path, await open(path, constants.O_RDWR | constants.O_CREAT))
  }

  async size(): Promise<number> {
    return (await this.file.stat()).size
  }

  /** All of it is there: it gets its name. */
  async finish(destination: string): Promise<void> {
    await this.file.sync()
    await this.close()
    await rename(this.path, destination).catch(async (error) => {
      // Another process was faster: it may have the file open, which Windows minds, or have taken this one for abandoned.
      if (!(await isFile(destination))) throw error
      await rm(this.path, { force: true })
    })
  }

  /** For the next one, if there is anything. */
  async leave(): Promise<void> {
    if ((await this.size()) === 0) return this.remove()
    await this.close()
    this.leaveNow()
  }

  async remove(): Promise<void> {
    await this.close()
    await rm(this.path, { force: true })
  }

  leaveNow(): void {
    try {
      if (statSync(this.path).size > 0) renameSync(this.path, this.left)
      else rmSync(this.path)
    } catch {
      // Removed by somebody else: there is nothing to leave.
    }
  }

  private async close(): Promise<void> {
    clearInterval(this.touching)
    owned.delete(this)
    if (owned.size === 0) process.off('exit', leaveAll)
    await this.file.close()
  }
}

/** What `take` would take up. */
export const leftBytes = (destination: string) =>
  stat(leftName(destination)).then(
    ({ size }) => size,
    () => 0,
  )

/** Removes what `take` would take up. */
export const removeLeft = (destination: string) => rm(leftName(destination), { force: true })

const leftName = (destination: string) => `${destination}.longwave.incomplete`

function leaveAll(): void {
  for (const partial of owned) partial.leaveNow()
}

async function takeAbandoned(destination: string, path: string): Promise<void> {
  const [folder, name] = [dirname(destination), basename(destination)]
  for (const other of await readdir(folder)) {
    if (!other.startsWith(name) || !/^\.[0-9a-f]{8}\.longwave\.incomplete$/.test(other.slice(name.length))) continue
    const found = await stat(join(folder, other)).catch(() => null)
    if (found === null || Date.now() - found.mtimeMs < abandonedAfter) continue
    await copyFile(join(folder, other), path, constants.COPYFILE_FICLONE)
    await rm(join(folder, other), { force: true })
    return
  }
}
