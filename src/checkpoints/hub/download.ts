import { exitCodes, UserError } from '../../errors.js'
import { writeAll } from '../../runtime/file-bytes.js'
import type { Answer, HubClient } from './client.js'
import { digestLike } from './digest.js'
import type { HubFile } from './listing.js'
import { PartialFile } from './partial.js'

/**
 * Brings a file of a commit to `destination`, going on where an earlier try ended. It gets that name when its hash is the one that the hub lists;
 * what does not have it is thrown away and fetched once more from the start. `came` is told of bytes as they come, and of those that were in vain (below 0).
 * Errors: 69.
 */
export async function download(
  client: HubClient,
  commit: string,
  file: HubFile,
  destination: string,
  came: (bytes: number) => void,
): Promise<void> {
  const partial = await PartialFile.take(destination)
  let right = false
  try {
    for (let times = 0; times < 2 && !right; times++) {
      if (times > 0) await restart(partial, came)
      await fill(client, commit, file, partial, came)
      right = (await digestLike(file.etag, partial.file)) === file.etag
    }
  } catch (error) {
    await partial.leave()
    throw error
  }
  if (right) return partial.finish(destination)
  await partial.remove()
  throw new UserError(
    `${client.page}: ${file.name} came damaged twice: its hash is not ${file.etag}`,
    exitCodes.unavailable,
  )
}

/** Until all bytes are there, whatever connections do. */
async function fill(
  client: HubClient,
  commit: string,
  file: HubFile,
  partial: PartialFile,
  came: (bytes: number) => void,
): Promise<void> {
  let [have, furthest, tries] = [await partial.size(), 0, 0]
  while (have !== file.bytes) {
    const answer = await client.file(file.name, commit, have)
    const goesOn = have > 0 && continues(answer, have, file)
    if (!goesOn) await restart(partial, came)
    let error: unknown = new Error('it does not go on where it ended')
    // Anything else is of another file, or nothing: the next request is for the whole one.
    if (goesOn || answer.status === 200) error = await append(answer, partial, file.bytes, came)
    else await answer.body.dump()
    have = await partial.size()
    tries = have > furthest ? 0 : tries + 1
    furthest = Math.max(furthest, have)
    if (tries > 0) await client.pause(tries, error)
  }
}

/** Whether an answer to a request from `from` on goes on from there, with the same file. */
function continues({ status, headers, etag }: Answer, from: number, file: HubFile): boolean {
  if (status !== 206 || (etag !== undefined && etag !== file.etag)) return false
  return headers['content-range']?.startsWith(`bytes ${from}-`) ?? false
}

/** Writes what comes, no more than there has to be; gives what ended it early. */
async function append(
  { body }: Answer,
  partial: PartialFile,
  bytes: number,
  came: (bytes: number) => void,
): Promise<unknown> {
  let at = await partial.size()
  const pieces = body[Symbol.asyncIterator]()
  while (at < bytes) {
    const piece = await pieces.next().catch((error: unknown) => ({ error }))
    if ('error' in piece) return piece.error
    if (piece.done) return new Error('it ends early')
    const part: Uint8Array = piece.value.subarray(0, bytes - at)
    await writeAll(partial.file, part, at)
    at += part.length
    came(part.length)
  }
  body.destroy()
  return null
}

async function restart(partial: PartialFile, came: (bytes: number) => void): Promise<void> {
  came(-(await partial.size()))
  await partial.file.truncate(0)
}
