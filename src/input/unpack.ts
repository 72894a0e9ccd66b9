import { isBgzf, isGzip, magicLength, refuseForeign } from './format.js'
import { gunzip } from './gunzip.js'

/**
 * Blocks of text: gzip, of one or many members, and bgzip are recognised by their first bytes and unpacked; other
 * packings are refused (FileProblem), as is gzip that is cut off or damaged, after all that could be unpacked of it.
 * `expected`: see `refuseForeign`.
 */
export async function* unpack(
  file: string,
  source: AsyncIterable<Uint8Array>,
  warn: (text: string) => void,
  expected?: string,
): AsyncGenerator<Uint8Array> {
  const blocks = joinFirst(source)
  for await (const first of blocks) {
    const rest = prepend(first, blocks)
    if (!isGzip(first)) refuseForeign(file, first, expected)
    yield* isGzip(first) ? joinFirst(gunzip(rest, isBgzf(first), warn)) : rest
  }
}

async function* prepend(first: Uint8Array, blocks: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield first
  yield* blocks
}

/** The same bytes, the first block long enough to tell the format from. */
async function* joinFirst(blocks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let head: Uint8Array = new Uint8Array(0)
  let joined = false
  for await (const block of blocks) {
    if (joined) yield block
    else {
      head = head.length === 0 ? block : Buffer.concat([head, block])
      joined = head.length >= magicLength
      if (joined) yield head
    }
  }
  if (!joined && head.length > 0) yield head
}
