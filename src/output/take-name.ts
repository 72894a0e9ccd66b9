import { link, open, rename, rm } from 'node:fs/promises'

/** What systems say where a file cannot have a second name: FAT, exFAT, some network and container file systems. */
const noLinks = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EINVAL'])

/**
 * Gives a finished file its name, unless that is taken: of several processes that want the same name at once, one gets it.
 * `rename` alone would replace the file of another. Errors (of the system): EEXIST when the name is taken.
 */
export async function takeName(temporary: string, path: string, linkFile = link): Promise<void> {
  try {
    await linkFile(temporary, path)
  } catch (error) {
    if (!noLinks.has((error as NodeJS.ErrnoException).code ?? '')) throw error
    // An empty file holds the name until the finished one takes its place.
    await (await open(path, 'wx')).close()
    return rename(temporary, path)
  }
  await rm(temporary)
}
