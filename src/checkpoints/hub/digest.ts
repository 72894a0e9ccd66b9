import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'

/**
 * The hash of a file of the kind that `etag` is: SHA-256 (64 digits), or the SHA-1 of a blob of git. `took` is told how many bytes were
 * read. Errors: those of the system.
 */
export async function digestLike(etag: string, file: FileHandle, took?: (bytes: number) => void): Promise<string> {
  const hash = createHash(etag.length === 64 ? 'sha256' : 'sha1')
  if (etag.length !== 64) hash.update(`blob ${(await file.stat()).size}\0`)
  for await (const piece of file.createReadStream({ start: 0, autoClose: false, highWaterMark: 2 ** 20 })) {
    hash.update(piece)
    took?.(piece.length)
  }
  return hash.digest('hex')
}
