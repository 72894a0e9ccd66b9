import { lstat, readlink, realpath } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'

/** As many links as Linux follows in one path. */
const mostLinks = 40

/**
 * The path of the file that writing to `path` creates or replaces: links are followed, also one that points to nothing
 * yet. Errors (of the system): ENOENT where the folder is missing, ELOOP for links in a circle.
 */
export async function destination(path: string): Promise<string> {
  if (path === '' || path.endsWith('/')) throw systemError('ENOENT', 'no such file or directory')
  let at = path
  for (let links = 0; links < mostLinks; links++) {
    const place = join(await realpath(dirname(at)), basename(at))
    const there = await lstat(place).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null
      throw error
    })
    if (!there?.isSymbolicLink()) return place
    at = resolve(dirname(place), await readlink(place))
  }
  throw systemError('ELOOP', 'too many symbolic links encountered')
}

const systemError = (code: string, text: string) => Object.assign(new Error(`${code}: ${text}`), { code })
