import { constants } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { exitCodes, UserError } from '../errors.js'
import { isLfsPointer, lfsPointer, pointerLength } from '../text/git-lfs.js'
import { printable, shortened } from '../text/printable.js'

/** An error about a file of a checkpoint: the model cannot be had. What the file says in it is cut and made printable. */
export function broken(path: string, what: string): UserError {
  return new UserError(`${path}: ${printable(shortened(what, 500))}`, exitCodes.unavailable)
}

/**
 * Opens a file of a checkpoint to be read, and tells its size. Errors: 69 where there is none, and for a folder, a pipe or a device,
 * which may never end.
 */
export async function openRegular(path: string): Promise<{ file: FileHandle; size: number }> {
  // Without O_NONBLOCK a pipe that nobody writes into is never open.
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)).catch(
    (error: NodeJS.ErrnoException) => {
      throw broken(path, error.code === 'ENOENT' ? 'no such file' : error.message)
    },
  )
  const found = await file.stat()
  if (found.isFile() && !(await holdsPointer(file))) return { file, size: found.size }
  await file.close()
  if (found.isFile()) throw broken(path, lfsPointer)
  throw broken(path, found.isDirectory() ? 'a folder, expected a file' : 'a pipe or a device, expected a file')
}

async function holdsPointer(file: FileHandle): Promise<boolean> {
  const { buffer } = await file.read(Buffer.alloc(pointerLength), 0, pointerLength, 0)
  return isLfsPointer(buffer)
}

/** More than any config has: the texts of a language model are the longest part. */
const mostBytes = 2 ** 26

/** The text of a file that is held whole. Errors: 69, also for one of more than 64 MiB. */
export async function readText(path: string): Promise<string> {
  const { file, size } = await openRegular(path)
  try {
    if (size > mostBytes) throw broken(path, `${size} bytes, expected at most ${mostBytes}`)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size), 0, size, 0)
    return buffer.toString('utf8', 0, bytesRead)
  } finally {
    await file.close()
  }
}

/** Links are followed. */
export const isFile = (path: string) =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  )

export const isFolder = (path: string) =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
