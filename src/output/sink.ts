import { randomBytes } from 'node:crypto'
import { fstatSync } from 'node:fs'
import { type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises'
import { isatty } from 'node:tty'
import { exitCodes, UserError } from '../shell/errors.js'
import { refuseLost } from '../shell/surroundings.js'
import { forgetTemporary, rememberTemporary } from './temporary.js'

/** Where bytes go, one call at a time. */
export interface Sink {
  /** Resolves when the receiver has all of `bytes`. */
  write(bytes: Uint8Array): Promise<void>
  /** Only where earlier bytes can be overwritten. */
  writeAt?(bytes: Uint8Array, position: number): Promise<void>
  finish(): Promise<void>
  publish(): Promise<void>
  abort(): Promise<void>
}

export async function openSink(path: string, force: boolean): Promise<Sink> {
  if (path === '-' || path === '/dev/stdout') return stdoutSink()
  refuseLost(path)
  const there = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw cannotCreate(path, error)
  })
  if (there === null) return fileSink(path, path)
  if (there.isDirectory())
    throw new UserError(`${path}: cannot create the output: this is a folder`, exitCodes.cannotCreate)
  if (!there.isFile() || path.startsWith('/dev/fd/')) return deviceSink(path)
  if (!force) throw new UserError(`${path}: the output exists already; --force replaces it`, exitCodes.cannotCreate)
  // A link stays a link: what it points to is replaced.
  return fileSink(path, await realpath(path))
}

/** A file under a temporary name beside its own: workflow engines take an existing file for a finished one. */
async function fileSink(name: string, path: string): Promise<Sink> {
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
    write: (bytes) => writeAll(handle, bytes, null, name),
    writeAt: (bytes, position) => writeAll(handle, bytes, position, name),
    async finish() {
      await explain(name, async () => {
        await handle.sync()
        await handle.close()
      })
    },
    async publish() {
      await explain(name, () => rename(temporary, path))
      forgetTemporary(temporary)
    },
    abort: remove,
  }
}

/** /dev/null, a named pipe, a process substitution: written straight, because a rename would replace the device itself. */
async function deviceSink(path: string): Promise<Sink> {
  const handle = await open(path, 'w').catch((error) => {
    throw cannotCreate(path, error)
  })
  return {
    write: (bytes) => writeAll(handle, bytes, null, path),
    finish: () => explain(path, () => handle.close()),
    publish: async () => {},
    abort: () => handle.close().catch(() => {}),
  }
}

function stdoutSink(): Sink {
  const name = 'standard output'
  const kind = fstatSync(1)
  const nothing = async () => {}
  // Node's own stream for files and devices ignores that a full disk takes only a part of a write.
  const direct = (kind.isFile() || kind.isCharacterDevice()) && !isatty(1)
  const write = direct ? writeStdoutFile : writeStdoutStream
  return { write: (bytes) => explain(name, () => write(bytes)), finish: nothing, publish: nothing, abort: nothing }
}

const writeStdoutStream = (bytes: Uint8Array) =>
  new Promise<void>((resolve, reject) => {
    process.stdout.write(bytes, (error) => (error ? reject(error) : resolve()))
  })

async function writeStdoutFile(bytes: Uint8Array): Promise<void> {
  const { write } = await import('node:fs')
  for (let done = 0; done < bytes.length; ) {
    done += await new Promise<number>((resolve, reject) => {
      write(1, bytes, done, bytes.length - done, null, (error, count) => (error ? reject(error) : resolve(count)))
    })
  }
}

const writeAll = (handle: FileHandle, bytes: Uint8Array, position: number | null, name: string) =>
  explain(name, async () => {
    for (let done = 0; done < bytes.length; ) {
      const at = position === null ? null : position + done
      done += (await handle.write(bytes, done, bytes.length - done, at)).bytesWritten
    }
  })

/** Errors of the system as one line and exit 74; a reader that went away is no error and is told apart by its code. */
async function explain(name: string, step: () => Promise<void>): Promise<void> {
  try {
    await step()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') throw error
    throw new UserError(`${name}: cannot write: ${reason(error)}`, exitCodes.io)
  }
}

const cannotCreate = (path: string, error: unknown) =>
  new UserError(`${path}: cannot create the output: ${reason(error)}`, exitCodes.cannotCreate)

/** 'ENOSPC: no space left on device, write' -> 'no space left on device'. */
const reason = (error: unknown) =>
  (error instanceof Error ? error.message : String(error)).replace(/^[A-Z0-9]+: /, '').replace(/, \w+( '.*)?$/, '')
