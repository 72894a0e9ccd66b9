import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { isPipe } from '../bytes.js'
import { isGzip } from '../format.js'

/** Bytes of the largest file, no fewer than any record in it has bases; undefined where that is not known: of a pipe, and of gzip. */
export function largestFile(paths: readonly string[]): number | undefined {
  const sizes = paths.map(plainSize)
  return sizes.every((size) => size !== undefined) ? Math.max(...sizes) : undefined
}

function plainSize(path: string): number | undefined {
  if (path === '-' || isPipe(path)) return undefined
  try {
    const head = Buffer.alloc(2)
    const fd = openSync(path, 'r')
    readSync(fd, head, 0, head.length, 0)
    closeSync(fd)
    return isGzip(head) ? undefined : statSync(path).size
  } catch {
    return 0 // reading it will say why
  }
}
