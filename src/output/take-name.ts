import { link, open, rename, rm } from 'node:fs/promises'

/**
 * Gives a finished file its name, unless that is taken: of several processes that want the same name at once, one gets
 * it. `rename` alone would replace the file of another. Errors (of the system): EEXIST when the name is taken.
 */
export async function takeName(temporary: string, path: string, linkFile = link): Promise<void> {
  try {
    await linkFile(temporary, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw error
    // FAT and some file systems of networks and containers have no links: an empty file holds the name until the
    // finished one comes.
    await (await open(path, 'wx')).close()
    return rename(temporary, path)
  }
  await rm(temporary)
}
