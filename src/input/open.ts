import { open } from 'node:fs/promises'
import { discard } from '../discard.js'
import { exitCodes } from '../shell/errors.js'
import { FileProblem } from './collector.js'
import { isBgzf, isGzip, magicLength, refuseForeign } from './format.js'
import { gunzip } from './gunzip.js'

/** Bytes read from a file at a time. */
export const blockSize = 1 << 18

/** What `-` is called in messages and records. */
export const stdinName = 'stdin'

/**
 * The bytes of a file or of standard input (`-`), as they are. A block is overwritten when the second next one is asked
 * for. Errors (FileProblem): 66 missing or unreadable, 74 broken off.
 */
export async function* readBytes(path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* path === '-' ? readStdin() : readFile(path)
  } catch (error) {
    throw readProblem(error)
  }
}

/** Each block comes in a buffer of its own, or several short ones in a piece of one that Node shares out. */
async function* readStdin(): AsyncGenerator<Uint8Array> {
  let before: Buffer | null = null
  for await (const block of process.stdin as AsyncIterable<Buffer>) {
    yield block
    if (before && before.byteLength === before.buffer.byteLength) discard(before.buffer as ArrayBuffer)
    before = block
  }
}

/** Two buffers in turn: one is filled while the other is in use, and none is made anew. */
async function* readFile(path: string): AsyncGenerator<Uint8Array> {
  const handle = await open(path)
  const buffers = [Buffer.allocUnsafeSlow(blockSize), Buffer.allocUnsafeSlow(blockSize)]
  const read = (turn: number) => {
    const reading = handle.read(buffers[turn], 0, blockSize, null)
    reading.catch(() => {}) // it is awaited later, or not at all
    return reading
  }
  let reading = read(0)
  try {
    for (let turn = 1; ; turn ^= 1) {
      const { bytesRead, buffer } = await reading
      if (bytesRead === 0) return
      reading = read(turn)
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    await reading.catch(() => {})
    await handle.close()
  }
}

/**
 * Blocks of text: gzip, of one or many members, and bgzip are recognised by their first bytes and unpacked; other
 * packings are refused (FileProblem), as is gzip that is cut off or damaged, after all that could be unpacked of it.
 */
export async function* unpack(
  file: string,
  source: AsyncIterable<Uint8Array>,
  warn: (text: string) => void,
): AsyncGenerator<Uint8Array> {
  const blocks = joinFirst(source)
  for await (const first of blocks) {
    const rest = prepend(first, blocks)
    if (!isGzip(first)) refuseForeign(file, first)
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

function readProblem(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  // ENAMETOOLONG and a NUL byte: names that no file can have.
  if (['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ERR_INVALID_ARG_VALUE'].includes(code))
    return new FileProblem('no such file', exitCodes.noInput)
  if (code === 'EISDIR') return new FileProblem('a folder, expected a file', exitCodes.noInput)
  if (code === 'EACCES' || code === 'EPERM') return new FileProblem(`may not be read (${code})`, exitCodes.noInput)
  if (/^E[A-Z0-9]+$/.test(code)) return new FileProblem(`reading failed (${code})`, exitCodes.io)
  return error
}
