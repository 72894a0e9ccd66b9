import { constants, open as openFile } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { Socket } from 'node:net'
import { promisify } from 'node:util'
import { createGunzip } from 'node:zlib'
import { discard } from '../discard.js'
import { exitCodes } from '../shell/errors.js'
import { FileProblem } from './collector.js'
import { isBgzf, isGzip, magicLength, refuseForeign } from './format.js'

/** Bytes read from a file at a time. */
export const blockSize = 1 << 18

/** What `-` is called in messages and records. */
export const stdinName = 'stdin'

/** Last block of every whole bgzip file (SAM specification, section 4.1.2). */
const bgzfEnd = Buffer.from('1f8b08040000000000ff0600424302001b0003000000000000000000', 'hex')

/**
 * The bytes of a file or of standard input (`-`), as they are. A block is overwritten when the second next one is asked
 * for. Errors (FileProblem): 66 missing or unreadable, 74 broken off.
 */
export async function* readBytes(path: string): AsyncGenerator<Uint8Array> {
  try {
    if (path === '-') yield* readStream(process.stdin)
    else yield* (await stat(path)).isFIFO() ? readPipe(path) : readFile(path)
  } catch (error) {
    throw readProblem(error)
  }
}

/** Each block comes in a buffer of its own, or several short ones in a piece of one that Node shares out. */
async function* readStream(stream: AsyncIterable<Buffer>): AsyncGenerator<Uint8Array> {
  let before: Buffer | null = null
  for await (const block of stream) {
    yield block
    if (before && before.byteLength === before.buffer.byteLength) discard(before.buffer as ArrayBuffer)
    before = block
  }
}

/**
 * A named pipe or a process substitution, read when there is something to read: a thread that waits in `read` would keep the
 * process from ending at a signal. So would one that waits for a writer; how a pipe without one behaves otherwise is known of Linux.
 */
async function* readPipe(path: string): AsyncGenerator<Uint8Array> {
  const { O_NONBLOCK, O_RDONLY } = constants
  const fd = await promisify(openFile)(path, O_RDONLY | (process.platform === 'linux' ? O_NONBLOCK : 0))
  const socket = new Socket({ fd, readable: true, writable: false })
  try {
    yield* readStream(socket)
  } finally {
    socket.destroy()
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
 * packings are refused (FileProblem), as is gzip that is cut off or damaged, after what came before.
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
    yield* isGzip(first) ? joinFirst(gunzip(rest, isBgzf(first) ? warn : undefined)) : rest
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

/**
 * Unpacks block by block. One block is unpacked while the text of the one before is in use; everything in front of a
 * damaged place is handed out first, so that the same file always gives the same records.
 */
async function* gunzip(source: AsyncIterable<Uint8Array>, warn?: (text: string) => void): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip({ chunkSize: blockSize })
  let texts: Buffer[] = []
  let failure: Error | undefined
  gunzip.on('data', (text: Buffer) => texts.push(text))
  gunzip.on('error', (error) => {
    failure ??= error
  })
  const take = () => {
    const taken = texts
    texts = []
    return taken
  }
  // After an error zlib calls no one back: it closes.
  let wake = () => {}
  gunzip.on('close', () => wake())
  const settle = (start: (done: () => void) => void) =>
    new Promise<void>((resolve) => {
      wake = resolve
      if (gunzip.destroyed) resolve()
      else start(resolve)
    })
  const tail = new Tail(bgzfEnd.length)
  // zlib stops at zero bytes after the data, which pad it; nothing else may follow.
  let ended = false
  gunzip.on('end', () => {
    ended = true
  })
  let given = 0
  try {
    for await (const block of source) {
      for (let from = 0; from < block.length && !failure; from += packedSize) {
        const part = block.subarray(from, from + packedSize)
        tail.push(part)
        const ready = take()
        const done = ended ? undefined : settle((resolve) => gunzip.write(part, () => resolve()))
        yield* ready
        await done
        if (ended && part.subarray(Math.max(0, gunzip.bytesWritten - given)).some((byte) => byte !== 0)) {
          failure ??= new Error('something else after its end')
        }
        given += part.length
      }
      if (failure) break
    }
    if (!failure && !ended) {
      const done = settle(() => gunzip.end())
      yield* take()
      await done
    }
    yield* take()
    if (failure) throw new FileProblem(gzipProblem(failure))
    if (warn && !bgzfEnd.equals(tail.bytes)) warn('the end mark of bgzip is missing: the file may be cut off')
  } finally {
    gunzip.destroy()
  }
}

/** Packed bytes given to zlib at a time: bounds what one of them can unpack to. */
const packedSize = 1 << 16

/** The last bytes that went by. */
class Tail {
  bytes: Buffer = Buffer.alloc(0)
  constructor(private readonly length: number) {}
  push(block: Uint8Array) {
    const bytes =
      block.length < this.length ? Buffer.concat([this.bytes, block]) : Buffer.from(block.subarray(-this.length))
    this.bytes = bytes.subarray(-this.length)
  }
}

function gzipProblem(error: Error): string {
  if ('code' in error && error.code === 'Z_BUF_ERROR') return 'gzip data that is cut off, expected more of it'
  return `damaged gzip data (${error.message})`
}

function readProblem(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (code === 'ENOENT' || code === 'ENOTDIR') return new FileProblem('no such file', exitCodes.noInput)
  if (code === 'EISDIR') return new FileProblem('a folder, expected a file', exitCodes.noInput)
  if (code === 'EACCES' || code === 'EPERM') return new FileProblem(`may not be read (${code})`, exitCodes.noInput)
  if (/^E[A-Z0-9]+$/.test(code)) return new FileProblem(`reading failed (${code})`, exitCodes.io)
  return error
}
