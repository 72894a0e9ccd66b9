import { randomBytes } from 'node:crypto'
import { constants, fstatSync, openSync, writeSync } from 'node:fs'
import { open, readdir, rename, rm, stat } from 'node:fs/promises'
import { Socket } from 'node:net'
import { basename, dirname, join } from 'node:path'
import type { Writable } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import { isatty } from 'node:tty'
import { exitCodes, UserError } from '../errors.js'
import { standardOutputIsClosed } from '../runtime/descriptors.js'
import { reason, writeAll } from '../runtime/file-bytes.js'
import { refuseLost } from '../runtime/surroundings.js'
import { destination } from './destination.js'
import { takeName } from './take-name.js'
import { forgetTemporary, rememberTemporary } from './temporary.js'

/** Where bytes go, one call at a time. */
export interface Sink {
  /** Resolves when the receiver has all of `bytes`. */
  write(bytes: Uint8Array): Promise<void>
  /** Where a reader may be waiting: takes bytes at once, in the last moment of the process. */
  writeNow?(bytes: Uint8Array): void
  /** Only where earlier bytes can be overwritten. */
  writeAt?(bytes: Uint8Array, position: number): Promise<void>
  finish(): Promise<void>
  /** The file gets its name. Errors: 73 when another took it meanwhile (unless `force`). */
  publish(): Promise<void>
  /** Takes back what `publish` did, where no older file was replaced. */
  withdraw?(): Promise<void>
  abort(): Promise<void>
}

export interface OutputOptions {
  /** Replace an existing file. */
  force?: boolean
  /** An earlier run was to write it: so is what is there, and what that run has left half written is removed. */
  resumed?: boolean
}

export const isStandardOutput = (path: string) => path === '-' || path === '/dev/stdout'

export async function openSink(
  path: string,
  { force: replaces = false, resumed = false }: OutputOptions,
): Promise<Sink> {
  const force = replaces || resumed
  if (isStandardOutput(path)) return stdoutSink()
  refuseLost(path)
  const there = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw cannotCreate(path, error)
  })
  if (there?.isDirectory())
    throw new UserError(`${path}: cannot create the output: this is a folder`, exitCodes.cannotCreate)
  if (there?.isFIFO()) return pipeSink(path)
  if (there && (!there.isFile() || path.startsWith('/dev/fd/'))) return deviceSink(path)
  if (there && !force) throw existsAlready(path)
  // A link stays a link: what it points to is created or replaced.
  const place = await destination(path).catch((error) => {
    throw cannotCreate(path, error)
  })
  if (resumed) await removeTemporaries(place)
  return fileSink(path, place, force)
}

/** Those of earlier runs that were killed. */
async function removeTemporaries(path: string): Promise<void> {
  const name = basename(path)
  for (const file of await readdir(dirname(path)))
    if (file.startsWith(name) && /^\.[0-9a-f]{8}\.tmp$/.test(file.slice(name.length)))
      await rm(join(dirname(path), file), { force: true })
}

/** A file under a temporary name beside its own: workflow engines take an existing file for a finished one. */
async function fileSink(name: string, path: string, force: boolean): Promise<Sink> {
  const temporary = `${path}.${randomBytes(4).toString('hex')}.tmp`
  const handle = await open(temporary, 'wx').catch((error) => {
    throw cannotCreate(name, error)
  })
  rememberTemporary(temporary)
  const remove = async () => {
    await handle.close().catch(() => {})
    await rm(temporary, { force: true })
    forgetTemporary(temporary)
  }
  return {
    write: (bytes) => explain(name, () => writeAll(handle, bytes, null)),
    writeAt: (bytes, position) => explain(name, () => writeAll(handle, bytes, position)),
    async finish() {
      await explain(name, async () => {
        await handle.sync()
        await handle.close()
      })
    },
    async publish() {
      await explain(name, () => (force ? rename(temporary, path) : takeName(temporary, path)))
      forgetTemporary(temporary)
    },
    ...(force ? {} : { withdraw: () => rm(path, { force: true }) }),
    abort: remove,
  }
}

/** /dev/null and its like: written straight, because a rename would replace the device itself. */
async function deviceSink(path: string): Promise<Sink> {
  const handle = await open(path, 'w').catch((error) => {
    throw cannotCreate(path, error)
  })
  return {
    write: (bytes) => explain(path, () => writeAll(handle, bytes, null)),
    finish: () => explain(path, () => handle.close()),
    publish: async () => {},
    abort: () => handle.close().catch(() => {}),
  }
}

/** Milliseconds between two looks whether a named pipe has a reader. */
const lookAgain = 20

/**
 * A named pipe or a process substitution. Waits for its reader as every program does, but not in a thread of libuv's
 * pool: a process cannot end while one of those waits in the kernel, and signals would go unheeded.
 */
async function pipeSink(path: string): Promise<Sink> {
  let fd: number | null = null
  while (fd === null) {
    try {
      fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw cannotCreate(path, error)
      await setTimeout(lookAgain)
    }
  }
  const pipe = new Socket({ fd, readable: false, writable: true })
  pipe.on('error', () => {}) // whoever writes gets it
  return {
    write: (bytes) => explain(path, () => writeStream(pipe, bytes)),
    // As much as the pipe takes at once goes out before this returns.
    writeNow: (bytes) => void pipe.write(bytes),
    finish: () => explain(path, () => new Promise((resolve) => pipe.end(resolve))),
    publish: async () => {},
    abort: async () => void pipe.destroy(),
  }
}

function stdoutSink(): Sink {
  const name = 'standard output'
  if (process.stdout.fd === 1 && standardOutputIsClosed())
    throw new UserError(`${name} is closed: give it a reader, or -o FILE`, exitCodes.io)
  const nothing = async () => {}
  // Node's own stream for files and devices ignores that a full disk takes only a part of a write.
  const direct = isFileOrDevice(process.stdout)
  const write = direct ? writeStdoutFile : (bytes: Uint8Array) => writeStream(process.stdout, bytes)
  return {
    write: (bytes) => explain(name, () => write(bytes)),
    // Node writes to files, and on Linux and macOS to pipes, before this returns.
    writeNow: (bytes) => void (direct ? writeSync(1, bytes) : process.stdout.write(bytes)),
    finish: nothing,
    publish: nothing,
    abort: nothing,
  }
}

/** A stream that stands in for standard output, as every thread but the first has one, has no descriptor. */
function isFileOrDevice({ fd }: { fd?: number }): boolean {
  if (fd === undefined || isatty(fd)) return false
  const kind = fstatSync(fd)
  return kind.isFile() || kind.isCharacterDevice()
}

const writeStream = (stream: Writable, bytes: Uint8Array) =>
  new Promise<void>((resolve, reject) => {
    stream.write(bytes, (error) => (error ? reject(error) : resolve()))
  })

async function writeStdoutFile(bytes: Uint8Array): Promise<void> {
  const { write } = await import('node:fs')
  for (let done = 0; done < bytes.length; ) {
    done += await new Promise<number>((resolve, reject) => {
      write(1, bytes, done, bytes.length - done, null, (error, count) => (error ? reject(error) : resolve(count)))
    })
  }
}

/** Errors of the system as one line and exit 74; a reader that went away is no error and is told apart by its code. */
async function explain(name: string, step: () => Promise<void>): Promise<void> {
  try {
    await step()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EPIPE') throw error
    if (code === 'EEXIST') throw existsAlready(name)
    throw new UserError(`${name}: cannot write: ${reason(error)}`, exitCodes.io)
  }
}

export const existsAlready = (path: string) =>
  new UserError(`${path}: the output exists already; --force replaces it`, exitCodes.cannotCreate)

export const cannotCreate = (path: string, error: unknown) =>
  new UserError(`${path}: cannot create the output: ${reason(error)}`, exitCodes.cannotCreate)
