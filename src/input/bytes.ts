import { closeSync, constants, fstatSync, open as openFile, statSync } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { Socket } from 'node:net'
import { isatty, ReadStream } from 'node:tty'
import { promisify } from 'node:util'
import { exitCodes, UserError } from '../errors.js'
import { discard } from '../runtime/discard.js'
import { FileProblem } from './problem.js'

/** Bytes read from a file at a time. */
export const blockSize = 1 << 18

/** Bytes under the name that messages and records give them. */
export interface Source {
  file: string
  bytes: AsyncIterable<Uint8Array>
}

/** What `-` is called in messages and records. */
export const stdinName = 'stdin'

/**
 * The bytes of a file or of standard input (`-`), as they are. A block is overwritten when the second next one is asked
 * for. Errors (FileProblem): 66 missing or unreadable, 74 broken off.
 */
export async function* readBytes(path: string): AsyncGenerator<Uint8Array> {
  try {
    const pipe = path === '-' ? process.stdin : await openPipe(path)
    yield* pipe ? readStream(pipe) : readFile(path)
  } catch (error) {
    throw readProblem(error)
  }
}

/** Whether bytes come as fast as somebody writes them: standard input (`-`) or a path that is no file. */
export function isPipe(path: string): boolean {
  try {
    // A stream in the place of standard input has no descriptor.
    const fd = path === '-' ? (process.stdin.fd as number | undefined) : null
    return fd === undefined || !(fd === null ? statSync(path) : fstatSync(fd)).isFile()
  } catch {
    return false // reading it will say why
  }
}

/**
 * A named pipe (also `<(...)`) or a terminal; null: anything else. They are read without a thread of libuv's pool: a
 * process cannot end while one of those waits in the kernel for somebody to write, and signals would go unheeded.
 */
async function openPipe(path: string): Promise<Socket | null> {
  const found = await stat(path)
  if (!found.isFIFO() && !found.isCharacterDevice()) return null
  // How a pipe that has no writer yet behaves when it is not waited for is known of Linux.
  const flags = constants.O_RDONLY | (process.platform === 'linux' ? constants.O_NONBLOCK : 0)
  const fd = await promisify(openFile)(path, flags)
  if (found.isFIFO()) return new Socket({ fd, readable: true, writable: false })
  if (isatty(fd)) return new ReadStream(fd)
  closeSync(fd)
  return null
}

/** Tables and lists are held whole: what has more bytes is none, or never ends. */
const mostWhole = 2 ** 30

/**
 * All bytes of a table, a list or a file of settings, or of standard input. Errors (UserError): 65 for more than 1 GiB,
 * 66, 74.
 */
export async function readWhole(path: string): Promise<Buffer> {
  const blocks: Buffer[] = []
  let length = 0
  try {
    for await (const block of readBytes(path)) {
      length += block.length
      if (length > mostWhole) throw new FileProblem('more than 1 GiB, expected a table, a list or settings')
      blocks.push(Buffer.from(block))
    }
  } catch (error) {
    throw error instanceof FileProblem ? new UserError(`${path}: ${error.message}`, error.exitCode) : error
  }
  return Buffer.concat(blocks)
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
